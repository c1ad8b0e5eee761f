// Compares two results of run.mjs, check by check.
//
//   node compare.mjs DIRECT.tsv GATEWAY.tsv [--better FILE]
//
// No check may be worse through the gateway than directly (a missing one is worse than any other); a better one has
// to stand in FILE: lines `scenario` or `scenario<TAB>check-id`, `#` begins a comment. A check id that a scenario
// reports several times is compared as the list of its outcomes, worst first. Exit 0: as good; 1: not; 2: no input.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const RANK = ['MISSING', 'FAILURE', 'WARNING', 'SKIPPED', 'SUCCESS'];

const { values, positionals } = parseArgs({ allowPositionals: true, options: { better: { type: 'string' } } });
if (positionals.length !== 2) {
  console.error('usage: compare.mjs DIRECT.tsv GATEWAY.tsv [--better FILE]');
  process.exit(2);
}
const [direct, gateway] = positionals.map(read);
const allowed = new Set(values.better ? lines(values.better).filter((line) => !line.startsWith('#')) : []);

const counts = { same: 0, better: 0, unlisted: 0, worse: 0 };
for (const key of [...new Set([...direct.keys(), ...gateway.keys()])].sort()) {
  const before = direct.get(key) ?? [];
  const after = gateway.get(key) ?? [];
  const length = Math.max(before.length, after.length);
  const pad = (outcomes) => [...Array(length - outcomes.length).fill(0), ...outcomes];
  const [was, is] = [pad(before), pad(after)];
  for (let i = 0; i < length; i++) {
    const change = `${RANK[was[i]]} -> ${RANK[is[i]]}`;
    if (is[i] === was[i]) {
      counts.same++;
    } else if (is[i] < was[i]) {
      counts.worse++;
      console.log(`worse\t${key}\t${change}`);
    } else if (allowed.has(key) || allowed.has(key.split('\t')[0])) {
      counts.better++;
      console.log(`better\t${key}\t${change}`);
    } else {
      counts.unlisted++;
      console.log(`better, not listed\t${key}\t${change}`);
    }
  }
}
console.log(JSON.stringify(counts));
process.exit(counts.worse || counts.unlisted ? 1 : 0);

// Outcomes by scenario and check id, worst first.
function read(path) {
  const checks = new Map();
  for (const line of lines(path)) {
    const [scenario, id, status] = line.split('\t');
    const rank = RANK.indexOf(status);
    if (rank < 1) fail(`${path}: no status in the line: ${line}`);
    const key = `${scenario}\t${id}`;
    checks.set(key, [...(checks.get(key) ?? []), rank].sort((a, b) => a - b));
  }
  if (checks.size === 0) fail(`${path}: no checks; did the suite run?`);
  return checks;
}

function lines(path) {
  try {
    return readFileSync(path, 'utf8').split('\n').filter((line) => line.trim() !== '');
  } catch (error) {
    return fail(`${path}: ${error.message}`);
  }
}

function fail(reason) {
  console.error(reason);
  process.exit(2);
}
