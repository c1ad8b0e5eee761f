// A plain streaming pass-through, to test the comparer with: as faithful as can be, or broken in one named way.
//
//   node passthrough.mjs UPSTREAM [--tls DIR] [--fault hide-host|buffer|drop-session|swallow-status]
//
// DIR holds cert.pem and key.pem. Binds 127.0.0.1 on a free port and prints it as a JSON line; ends on SIGTERM.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { tls: { type: 'string' }, fault: { type: 'string' } },
});
const upstream = new URL(positionals[0]);
const tls = values.tls && {
  cert: readFileSync(`${values.tls}/cert.pem`),
  key: readFileSync(`${values.tls}/key.pem`),
};

const server = (tls ? https : http).createServer(tls || {}, (request, response) => {
  const headers = { ...request.headers };
  if (values.fault === 'hide-host') {
    headers.host = upstream.host;
    delete headers.origin;
  }
  if (values.fault === 'drop-session') delete headers['mcp-session-id'];
  const onward = http.request(
    { host: upstream.hostname, port: upstream.port, path: request.url, method: request.method, headers },
    (answer) => {
      const status = values.fault === 'swallow-status' && answer.statusCode >= 400 ? 200 : answer.statusCode;
      if (values.fault === 'buffer') {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () => response.writeHead(status, answer.headers).end(Buffer.concat(chunks)));
      } else {
        response.writeHead(status, answer.headers).flushHeaders();
        answer.pipe(response);
      }
    },
  );
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  request.pipe(onward);
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  console.log(JSON.stringify({ port, url: `${tls ? 'https' : 'http'}://localhost:${port}${upstream.pathname}` }));
});
process.on('SIGTERM', () => process.exit(0));
