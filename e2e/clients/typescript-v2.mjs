// The TypeScript client 2.x, @modelcontextprotocol/client: legacy (its default), and auto, which must find 2026-07-28.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { expect, options, report } from './common.mjs';
import { answers, exercises, witness } from './exercises.mjs';

const arguments_ = options();

async function open(era) {
  const { seen, fetch } = witness();
  const client = new Client(
    { name: 'palisade-e2e-typescript-v2', version: '1.0.0' },
    {
      capabilities: { sampling: {}, elicitation: {}, roots: {} },
      ...(era === 'modern' && { versionNegotiation: { mode: 'auto' } }),
    },
  );
  for (const [method, answer] of Object.entries(answers)) {
    client.setRequestHandler(method, async (request) => answer(request.params));
  }
  const transport = arguments_.command
    ? new StdioClientTransport(arguments_.command)
    : new StreamableHTTPClientTransport(new URL(arguments_.url), { fetch });
  await client.connect(transport);
  const version = client.getNegotiatedProtocolVersion();
  const wanted = era === 'modern' ? '2026-07-28' : '2025-11-25';
  expect(version === wanted, `${wanted} was to be negotiated, not ${version}`);
  return {
    client,
    transport,
    seen: arguments_.command ? undefined : seen,
    url: arguments_.url,
    call: (params, options) => client.callTool(params, options),
    listen: (filter) => client.listen(filter),
    onNotification: (method, handler) => client.setNotificationHandler(method, handler),
  };
}

const offered = (name) => !(arguments_.command && name === 'session_end');
const named = (era, title) => {
  const all = Object.entries(exercises(era, () => open(era))).filter(([name]) => offered(name));
  return Object.fromEntries(all.map(([name, run]) => [`${title}/${name}`, run]));
};

await report('typescript-v2', arguments_, { ...named('legacy', 'legacy'), ...named('modern', 'auto') });
