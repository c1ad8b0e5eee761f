// Proves that run.mjs and compare.mjs see a gateway's faults: a faithful pass-through in front of UPSTREAM, plain and
// over TLS with a CA made here, compares equal; one broken in any of the ways that passthrough.mjs knows does not.
//
//   node selftest.mjs UPSTREAM
//
// Prints a line a case; exit 1 if one went wrong.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'palisade-conformance-'));
const upstream = process.argv[2];
if (!upstream) {
  console.error('usage: selftest.mjs UPSTREAM');
  process.exit(2);
}
let wrong = 0;
try {
  certificate();
  run('direct', upstream);
  await check('faithful', [], 0);
  await check('faithful, TLS', ['--tls', work], 0);
  // Each fault with the set that shows it.
  await check('hide-host', ['--fault', 'hide-host'], 1, '2025-11-25');
  await check('drop-session', ['--fault', 'drop-session'], 1, '2025-11-25');
  await check('buffer', ['--fault', 'buffer'], 1, '2026-07-28');
  await check('swallow-status', ['--fault', 'swallow-status'], 1, '2026-07-28');
} finally {
  rmSync(work, { recursive: true });
}
process.exit(wrong ? 1 : 0);

async function check(title, options, expected, ...revisions) {
  const sets = revisions.length ? revisions : ['2025-11-25', '2026-07-28'];
  const proxy = spawn(process.execPath, [join(here, 'passthrough.mjs'), upstream, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await new Promise((done) => createInterface(proxy.stdout).once('line', (...args) => done(args)));
  run('proxied', JSON.parse(line).url, '--ca', join(work, 'ca.pem'), ...sets.flatMap((set) => ['--requirements', set]));
  proxy.kill();
  const results = sets.map((revision) =>
    spawnSync(process.execPath, [
      join(here, 'compare.mjs'),
      join(work, `direct-${revision}.tsv`),
      join(work, `proxied-${revision}.tsv`),
      '--better',
      join(here, 'allowed-better.txt'),
    ]),
  );
  const exit = Math.max(...results.map((result) => result.status ?? 2));
  const verdict = exit === expected ? 'ok' : 'WRONG';
  if (exit !== expected) wrong++;
  console.log(`${verdict}\t${title}\texit ${exit}\t${results.map((r) => String(r.stdout).trim().split('\n').at(-1)).join(' ')}`);
  if (exit !== expected) console.log(results.map((result) => `${result.stdout}${result.stderr}`).join(''));
}

function run(name, url, ...options) {
  spawnSync(process.execPath, [join(here, 'run.mjs'), name, url, work, ...options], { stdio: 'ignore' });
}

function certificate() {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: work, stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test CA');
  openssl('req', ...key, '-keyout', 'key.pem', '-out', 'leaf.csr', '-subj', '/CN=localhost');
  writeFileSync(join(work, 'san'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san'];
  openssl('x509', '-req', '-in', 'leaf.csr', '-out', 'cert.pem', ...signed);
}
