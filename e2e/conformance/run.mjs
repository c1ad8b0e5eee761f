// Runs the MCP conformance suite against a server, both requirement sets, and writes down every check.
//
//   node run.mjs NAME URL OUT [--ca FILE] [--requirements REV]…
//
// For each set REV it leaves OUT/NAME-REV.tsv (scenario, check id, status; sorted; INFO left out), OUT/NAME-REV.log
// and the suite's own files under OUT/NAME-REV/. Prints one JSON line. Exit 0: every scored scenario of every set
// passed; 1: some did not; 2: the suite could not run. Node 22 or newer.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const SUITE = '../node_modules/@modelcontextprotocol/conformance/dist/index.js';
const REVISIONS = ['2025-11-25', '2026-07-28'];
// A whole set takes seconds; a server that hangs costs 30 s for each of about 40 scenarios.
const LIMIT_MS = 25 * 60 * 1000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { ca: { type: 'string' }, requirements: { type: 'string', multiple: true } },
});
if (positionals.length !== 3) {
  console.error('usage: run.mjs NAME URL OUT [--ca FILE] [--requirements REV]…');
  process.exit(2);
}
const [name, url, out] = positionals;
const suite = resolve(dirname(fileURLToPath(import.meta.url)), SUITE);
if (!existsSync(suite)) {
  console.error('the conformance suite is not installed: run e2e/setup.sh');
  process.exit(2);
}

const preload = url.startsWith('https:') ? ['--import', new URL('over-tls.mjs', import.meta.url).href] : [];

mkdirSync(out, { recursive: true });
const report = { name, url, sets: {} };
let failed = false;
for (const revision of values.requirements ?? REVISIONS) {
  const base = join(out, `${name}-${revision}`);
  rmSync(base, { recursive: true, force: true });
  const ran = spawnSync(
    process.execPath,
    [...preload, suite, 'server', '--url', url, '--requirements', revision, '-o', base],
    {
      encoding: 'utf8',
      timeout: LIMIT_MS,
      maxBuffer: 1 << 28,
      env: {
        ...process.env,
        CONFORMANCE_TARGET: url,
        ...(values.ca && { NODE_EXTRA_CA_CERTS: resolve(values.ca) }),
      },
    },
  );
  writeFileSync(`${base}.log`, `${ran.stdout ?? ''}${ran.stderr ?? ''}`);
  const checks = flatten(base);
  writeFileSync(`${base}.tsv`, checks.map((check) => `${check.join('\t')}\n`).join(''));
  const counts = {};
  for (const [, , status] of checks) counts[status] = (counts[status] ?? 0) + 1;
  report.sets[revision] = { exit: ran.status, checks: checks.length, counts };
  if (ran.error) report.sets[revision].error = String(ran.error);
  failed ||= ran.status !== 0;
  if (ran.error || checks.length === 0) {
    console.log(JSON.stringify(report));
    console.error(`the suite did not run; see ${base}.log`);
    process.exit(2);
  }
}
console.log(JSON.stringify(report));
process.exit(failed ? 1 : 0);

// The suite names a folder server-SCENARIO-TIME, the time as 2026-11-21T07-16-36-844Z.
function flatten(directory) {
  const rows = [];
  for (const path of globSync('**/checks.json', { cwd: directory })) {
    const folder = path.split('/').at(-2);
    const scenario = folder.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '');
    for (const check of JSON.parse(readFileSync(join(directory, path), 'utf8'))) {
      if (check.status !== 'INFO') rows.push([scenario, check.id, check.status]);
    }
  }
  const key = (row) => row.join('\t');
  return rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}
