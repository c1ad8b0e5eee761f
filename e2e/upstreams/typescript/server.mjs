// An MCP server on the TypeScript SDK 1.x, on its standard streams: an older child, up to 2025-11-25.
//
//   node server.mjs
//
// What it offers stands in ../fixtures.json, which the Python and the Rust server read too; what those ask in rounds it
// asks by requests of its own. It ends when its standard input does.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  GetPromptRequestSchema,
  ListRootsResultSchema,
  ListPromptsRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListResourcesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';

const fixtures = JSON.parse(readFileSync(new URL('../fixtures.json', import.meta.url), 'utf8'));
const { tools, prompts } = fixtures;
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];
const WATCHED = 'test://watched-resource';

let level = 0;
const subscribed = new Set();
const slow = new Map();

const text = (line, isError = false) => ({ content: [{ type: 'text', text: line }], isError });
const fill = (template, values) => template.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
const filled = (value, values) => {
  if (typeof value === 'string') return fill(value, values);
  if (Array.isArray(value)) return value.map((item) => filled(item, values));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, values)]));
  }
  return value;
};

const log = async (data) => {
  if (LEVELS.indexOf('info') >= level) {
    await server.notification({ method: 'notifications/message', params: { level: 'info', data } });
  }
};

const byHand = {
  echo: async ({ message }) => text(message),
  request_headers: async () => text('{}'),
  slow: async ({ label, seconds }, extra) => {
    slow.set(label, 'running');
    try {
      await sleep(seconds * 1000, undefined, { signal: extra.signal });
    } catch (error) {
      slow.set(label, 'cancelled');
      throw error;
    }
    slow.set(label, 'finished');
    return text(`waited ${seconds} s`);
  },
  slow_outcome: async ({ label }) => text(slow.get(label) ?? 'unknown'),
  test_tool_with_logging: async () => {
    for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await log(line);
      await sleep(50);
    }
    return text('Tool with logging executed');
  },
  test_logging_tool: async () => {
    await log('One message');
    return text('One message was logged, if asked for');
  },
  test_tool_with_progress: async (_, extra) => {
    const progressToken = extra._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) {
        const params = { progressToken, progress, total: 100, message: `${progress} of 100` };
        await extra.sendNotification({ method: 'notifications/progress', params });
      }
      await sleep(50);
    }
    return text('Tool with progress executed');
  },
  test_sampling: async ({ prompt }, extra) => {
    const messages = [{ role: 'user', content: { type: 'text', text: prompt } }];
    const request = { method: 'sampling/createMessage', params: { messages, maxTokens: 100 } };
    try {
      const answer = await extra.sendRequest(request, CreateMessageResultSchema);
      return text(`LLM response: ${answer.content.text}`);
    } catch (error) {
      return text(`the client did not answer: ${error}`, true);
    }
  },
  test_reconnection: async () => {
    await log('Before the stream closes');
    await sleep(300);
    await log('After the stream closed');
    return text('Reconnection test completed');
  },
  test_trigger_tool_change: async () => announce('notifications/tools/list_changed'),
  test_trigger_prompt_change: async () => announce('notifications/prompts/list_changed'),
  test_trigger_resource_update: async () =>
    subscribed.has(WATCHED)
      ? announce('notifications/resources/updated', { uri: WATCHED })
      : text('nobody subscribed'),
};

async function announce(method, params = {}) {
  await server.notification({ method, params });
  return text('announced');
}

async function elicit(entry, args, extra) {
  const { message, requestedSchema } = entry.elicit;
  const params = { mode: 'form', message: args.message ?? message, requestedSchema };
  try {
    const answer = await extra.sendRequest({ method: 'elicitation/create', params }, ElicitResultSchema);
    return text(`${entry.reply}: action=${answer.action}, content=${JSON.stringify(answer.content ?? null)}`);
  } catch (error) {
    return text(`the client did not answer: ${error}`, true);
  }
}

const RESULTS = {
  'elicitation/create': ElicitResultSchema,
  'roots/list': ListRootsResultSchema,
  'sampling/createMessage': CreateMessageResultSchema,
};

// Every answer as a short text, by its key.
async function rounds(entry, extra) {
  const found = {};
  for (const round of entry.rounds) {
    for (const [key, { method, params }] of Object.entries(round)) {
      const answer = await extra.sendRequest({ method, params }, RESULTS[method]);
      if (answer.roots) found[key] = answer.roots.map((root) => root.uri).join(', ');
      else if (answer.action) found[key] = Object.values(answer.content ?? {}).join(', ') || answer.action;
      else found[key] = answer.content.text;
    }
  }
  return found;
}

const server = new Server(
  { name: 'palisade-e2e-typescript', version: '1.0.0' },
  {
    capabilities: {
      completions: {},
      logging: {},
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      tools: { listChanged: true },
    },
  },
);

server.setRequestHandler(ListToolsRequestSchema, async () => ({ tools: tools.map((entry) => entry.tool) }));
server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
  const entry = tools.find(({ tool }) => tool.name === params.name);
  if (!entry) throw new McpError(-32602, `unknown tool: ${params.name}`);
  const args = params.arguments ?? {};
  for (const name of entry.tool.inputSchema.required ?? []) {
    if (!(name in args)) throw new McpError(-32602, `${params.name} needs the argument \`${name}\``);
  }
  if (entry.result) return entry.result;
  if (entry.rounds) return text(fill(entry.reply, await rounds(entry, extra)));
  if (entry.elicit) return elicit(entry, args, extra);
  return byHand[params.name](args, extra);
});
server.setRequestHandler(ListPromptsRequestSchema, async () => ({ prompts: prompts.map((entry) => entry.prompt) }));
server.setRequestHandler(GetPromptRequestSchema, async ({ params }, extra) => {
  const entry = prompts.find(({ prompt }) => prompt.name === params.name);
  if (!entry) throw new McpError(-32602, `unknown prompt: ${params.name}`);
  const values = entry.rounds ? await rounds(entry, extra) : (params.arguments ?? {});
  return { description: entry.prompt.description, messages: filled(entry.messages, values) };
});
server.setRequestHandler(ListResourcesRequestSchema, async () => ({
  resources: fixtures.resources.map((entry) => entry.resource),
}));
server.setRequestHandler(ListResourceTemplatesRequestSchema, async () => ({
  resourceTemplates: fixtures.templates.map((entry) => entry.template),
}));
server.setRequestHandler(ReadResourceRequestSchema, async ({ params: { uri } }) => {
  const found = fixtures.resources.find((entry) => entry.resource.uri === uri);
  if (found) {
    const { resource, text, blob } = found;
    return { contents: [{ uri, mimeType: resource.mimeType, ...(text && { text }), ...(blob && { blob }) }] };
  }
  for (const { template, text } of fixtures.templates) {
    const [before, after] = template.uriTemplate.split('{id}');
    const id = uri.startsWith(before) && uri.endsWith(after) && uri.slice(before.length, uri.length - after.length);
    if (id && !id.includes('/')) {
      return { contents: [{ uri, mimeType: template.mimeType, text: fill(text, { id }) }] };
    }
  }
  throw new McpError(-32002, 'Resource not found', { uri });
});
server.setRequestHandler(SubscribeRequestSchema, async ({ params }) => {
  subscribed.add(params.uri);
  return {};
});
server.setRequestHandler(UnsubscribeRequestSchema, async ({ params }) => {
  subscribed.delete(params.uri);
  return {};
});
server.setRequestHandler(SetLevelRequestSchema, async ({ params }) => {
  level = LEVELS.indexOf(params.level);
  return {};
});
server.setRequestHandler(CompleteRequestSchema, async ({ params }) => {
  const known = fixtures.completions[params.argument.name] ?? [];
  const values = known.filter((value) => value.startsWith(params.argument.value));
  return { completion: { values, total: values.length, hasMore: false } };
});

// The SDK does not end by itself at the end of its input.
process.stdin.on('end', () => process.exit(0));
await server.connect(new StdioServerTransport());
