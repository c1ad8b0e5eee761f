// The MCP Inspector's command line, in its three eras: legacy, auto and modern, each call a process of its own.
//
// It can: list and read everything; call; answer an elicitation up to 2025-11-25 (by declining to answer, as nobody is
// at the terminal); resume a closed stream; be ended in the middle of a call, which from 2026-07-28 on cancels it.
// It cannot: sampling, showing progress, answering the rounds of 2026-07-28, subscriptions.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, options, report, until } from './common.mjs';

const LAUNCHER = '../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js';

const arguments_ = options();
// It keeps a folder in the home directory: not in the real one.
const home = mkdtempSync(join(tmpdir(), 'palisade-inspector-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));

function start(era, ...rest) {
  const { command, args } = arguments_.command ?? {};
  // It takes what stands behind `--` for the command.
  const target = command ? ['--transport', 'stdio'] : [arguments_.url, '--transport', 'http'];
  const fixed = [...target, '--format', 'json', '-q', '--protocol-era', era];
  if (command) rest.push('--', command, ...args);
  const child = spawn(process.execPath, [fileURLToPath(new URL(LAUNCHER, import.meta.url)), '--cli', ...fixed, ...rest], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOME: home },
  });
  const out = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) child[stream].on('data', (chunk) => (out[stream] += chunk));
  return { child, ended: new Promise((done) => child.on('close', (status) => done({ status, ...out }))) };
}

async function run(era, ...rest) {
  const { status, stdout, stderr } = await start(era, ...rest).ended;
  // Exit 5: the tool reported an error of its own.
  expect(status === 0 || status === 5, `exit ${status}: ${stderr.trim().slice(0, 400)}`);
  return JSON.parse(stdout).result;
}

const call = (era, name, given = {}) =>
  run(era, '--method', 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(given));
const text = (result) => result.content.map((block) => block.text ?? '').join('');

const exercises = {};
for (const era of ['legacy', 'auto', 'modern']) {
  const add = (name, exercise) => (exercises[`${era}/${name}`] = exercise);
  add('era', async () => {
    const headers = JSON.parse(text(await call(era, 'request_headers')));
    const wanted = era === 'legacy' ? '2025-11-25' : '2026-07-28';
    const version = headers['mcp-protocol-version'];
    expect(version === wanted, `${wanted} was to be negotiated, not ${version}`);
  });
  add('list', async () => {
    const lists = ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'];
    const results = await Promise.all(lists.map((method) => run(era, '--method', method)));
    const { tools, prompts, resources, resourceTemplates } = Object.assign({}, ...results);
    expect(tools.some((tool) => tool.name === 'echo'), 'tools/list lacks echo');
    expect(prompts.length === 5, 'prompts/list has not 5 prompts');
    expect(resources.length === 3, 'resources/list has not 3 resources');
    expect(resourceTemplates.length === 1, 'resources/templates/list has not 1 template');
  });
  add('call', async () => {
    const message = 'Grüße, 世界 — "quoted"\n\u{1F600}';
    const prompt = ['--prompt-name', 'test_prompt_with_arguments', '--prompt-args', 'arg1=a', 'arg2=b'];
    const [echoed, failure, { messages }, { contents }] = await Promise.all([
      call(era, 'echo', { message }),
      call(era, 'test_error_handling'),
      run(era, '--method', 'prompts/get', ...prompt),
      run(era, '--method', 'resources/read', '--uri', 'test://template/42/data'),
    ]);
    expect(text(echoed) === message, 'echo changed the message');
    expect(failure.isError === true, 'a failing tool was not reported as one');
    expect(messages[0].content.text.includes("arg1='a', arg2='b'"), 'the prompt lost its arguments');
    expect(JSON.parse(contents[0].text).id === '42', 'the resource template lost its id');
  });
  if (era === 'legacy') {
    add('elicitation', async () => {
      const said = text(await call(era, 'test_elicitation', { message: 'Who are you?' }));
      expect(said.includes('action=cancel'), `the answer of the user came back as: ${said}`);
    });
    add('resumption', async () => {
      const said = text(await call(era, 'test_reconnection'));
      expect(said === 'Reconnection test completed', `the resumed call answered: ${said}`);
    });
  } else {
    add('cancellation', async () => {
      const label = `${era}-${process.pid}-${Date.now()}`;
      const outcome = async () => text(await call(era, 'slow_outcome', { label }));
      const given = ['--tool-name', 'slow', '--tool-args-json', JSON.stringify({ label, seconds: 20 })];
      const { child, ended } = start(era, '--method', 'tools/call', ...given);
      await until('the call runs', async () => (await outcome()) === 'running');
      child.kill('SIGKILL');
      await ended;
      await until('the server notices the disconnection', async () => (await outcome()) === 'cancelled');
    });
  }
}

await report('inspector', arguments_, exercises);
