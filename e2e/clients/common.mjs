// What the Node clients share: arguments, a limit for each exercise, the report.
//
//   node CLIENT.mjs URL [--ca FILE] [--only EXERCISE]… [--sse] [--connect PALISADE]
//
// --sse: by HTTP+SSE, as of 2024-11-05, for the clients that have it.
// --connect: by the standard streams of `PALISADE connect URL`; there the client sees no HTTP, and so none is asked for.
// Prints one JSON line {"client", "url", "passed": [ERA/EXERCISE…], "failed": [{"exercise", "reason"}…]}; exit 0: all
// passed; 1: some did not; 2: wrong arguments.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

const LIMIT_MS = 60_000;

export function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ca: { type: 'string' },
      connect: { type: 'string' },
      only: { type: 'string', multiple: true },
      sse: { type: 'boolean' },
    },
  });
  if (positionals.length !== 1) {
    console.error('usage: CLIENT.mjs URL [--ca FILE] [--only EXERCISE]… [--sse] [--connect PALISADE]');
    process.exit(2);
  }
  const ca = values.ca && resolve(values.ca);
  if (ca && process.env.NODE_EXTRA_CA_CERTS !== ca) {
    // Node reads that variable when it starts, and at no other time.
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: ca };
    process.exit(spawnSync(process.execPath, process.argv.slice(1), { stdio: 'inherit', env }).status ?? 1);
  }
  const url = positionals[0];
  // The command of a server that speaks stdio.
  const command = values.connect && {
    command: values.connect,
    args: ['connect', url, ...(ca ? ['--ca', ca] : [])],
    stderr: 'inherit',
  };
  return { url, only: values.only, sse: values.sse, command };
}

/** Runs the exercises, a map of name to async function, one after the other, and ends the process. */
export async function report(client, { url, only }, exercises) {
  const passed = [];
  const failed = [];
  for (const [exercise, run] of Object.entries(exercises)) {
    if (only && !only.some((wanted) => exercise === wanted || exercise.endsWith(`/${wanted}`))) continue;
    try {
      await within(LIMIT_MS, run());
      passed.push(exercise);
    } catch (error) {
      failed.push({ exercise, reason: reason(error) });
    }
  }
  console.log(JSON.stringify({ client, url, passed, failed }));
  process.exit(failed.length || !passed.length ? 1 : 0);
}

export function expect(condition, message) {
  if (!condition) throw new Error(message);
}

/** Waits until `probe` gives something true, and gives that back. */
export async function until(what, probe, limit = 20_000) {
  const end = Date.now() + limit;
  while (Date.now() < end) {
    const found = await probe();
    if (found) return found;
    await pause(20);
  }
  throw new Error(`did not come about in ${limit} ms: ${what}`);
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took more than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// "fetch failed" alone says nothing: the cause does.
function reason(error) {
  const causes = [];
  for (let at = error; at && causes.length < 4; at = at.cause) causes.push(at.message ?? String(at));
  return causes.join(': ');
}
