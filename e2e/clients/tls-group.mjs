// Shakes hands by TLS with the groups given, in that order of preference, and says what came of it:
//
//     NODE24 clients/tls-group.mjs PORT CA GROUPS
//
// prints {"group": GROUP, "protocol": VERSION}, what was agreed on, and on standard error OpenSSL's trace of the
// handshake, whose first NamedGroup is the one it led with. Needs Node 24: OpenSSL 3.5 knows X25519MLKEM768.
import fs from 'node:fs';
import tls from 'node:tls';

const [port, ca, groups] = process.argv.slice(2);
const socket = tls.connect({
  host: '127.0.0.1',
  port: Number(port),
  servername: 'localhost',
  ca: fs.readFileSync(ca),
  ecdhCurve: groups,
});
socket.enableTrace();
socket.once('secureConnect', () => {
  const key = socket.getEphemeralKeyInfo();
  console.log(JSON.stringify({ group: key.name, protocol: socket.getProtocol() }));
  socket.end();
});
socket.once('error', (error) => {
  console.error(error);
  process.exitCode = 1;
});
