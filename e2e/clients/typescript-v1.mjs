// The TypeScript SDK 1.x, @modelcontextprotocol/sdk: it speaks 2025-11-25 and older. With --sse it comes by HTTP+SSE,
// which knows no resumption and no end of a session by DELETE.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

import { options, report } from './common.mjs';
import { answers, exercises, witness } from './exercises.mjs';

const arguments_ = options();
const requests = [CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema];
const notifications = {
  'notifications/resources/updated': ResourceUpdatedNotificationSchema,
  'notifications/tools/list_changed': ToolListChangedNotificationSchema,
};

async function open() {
  const { seen, fetch } = witness();
  const client = new Client(
    { name: 'palisade-e2e-typescript-v1', version: '1.0.0' },
    { capabilities: { sampling: {}, elicitation: {}, roots: {} } },
  );
  for (const schema of requests) {
    client.setRequestHandler(schema, async (request) => answers[request.method](request.params));
  }
  const Transport = arguments_.sse ? SSEClientTransport : StreamableHTTPClientTransport;
  const transport = arguments_.command
    ? new StdioClientTransport(arguments_.command)
    : new Transport(new URL(arguments_.url), { fetch });
  await client.connect(transport);
  return {
    client,
    transport,
    seen: arguments_.command ? undefined : seen,
    url: arguments_.url,
    call: (params, options) => client.callTool(params, undefined, options),
    onNotification: (method, handler) => client.setNotificationHandler(notifications[method], handler),
  };
}

const absent = arguments_.sse ? ['resumption', 'session_end'] : arguments_.command ? ['session_end'] : [];
const offered = Object.entries(exercises('legacy', open)).filter(([name]) => !absent.includes(name));
const named = offered.map(([name, run]) => [`legacy/${name}`, run]);
await report('typescript-v1', arguments_, Object.fromEntries(named));
