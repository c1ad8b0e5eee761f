// What the TypeScript clients are put through, the same for both lines of the SDK and both eras.
//
// `open(era, handlers)` connects and gives {client, transport, seen, call, listen}: `seen` is every HTTP exchange so far,
// {method, headers, status}, or undefined where the client sees none; `call(params, options)` is tools/call; `listen`
// exists where subscriptions/listen does.
import { expect, pause, until } from './common.mjs';

const WATCHED = 'test://watched-resource';

export const answers = {
  'sampling/createMessage': () => ({
    role: 'assistant',
    model: 'test-model',
    stopReason: 'endTurn',
    content: { type: 'text', text: 'Paris' },
  }),
  // Answers every property that a form asks for by its own name.
  'elicitation/create': (params) => ({
    action: 'accept',
    content: Object.fromEntries(Object.keys(params.requestedSchema.properties).map((key) => [key, `my ${key}`])),
  }),
  'roots/list': () => ({ roots: [{ uri: 'file:///srv/example', name: 'example' }] }),
};

export function exercises(era, open) {
  const modern = era === 'modern';
  const text = (result) => result.content.map((block) => block.text ?? '').join('');
  const connected = (run) => async () => {
    const peer = await open();
    try {
      await run(peer);
    } finally {
      await peer.client.close();
    }
  };
  const all = {
    list: connected(async ({ client }) => {
      const { tools } = await client.listTools();
      expect(tools.some((tool) => tool.name === 'echo'), 'tools/list lacks echo');
      expect((await client.listPrompts()).prompts.length === 5, 'prompts/list has not 5 prompts');
      expect((await client.listResources()).resources.length === 3, 'resources/list has not 3 resources');
      const { resourceTemplates } = await client.listResourceTemplates();
      expect(resourceTemplates.length === 1, 'resources/templates/list has not 1 template');
    }),

    call: connected(async ({ client, call }) => {
      const message = 'Grüße, 世界 — "quoted"\n\u{1F600}';
      expect(text(await call({ name: 'echo', arguments: { message } })) === message, 'echo changed the message');
      const failure = await call({ name: 'test_error_handling', arguments: {} });
      expect(failure.isError === true, 'a failing tool was not reported as one');
      const prompt = await client.getPrompt({ name: 'test_prompt_with_arguments', arguments: { arg1: 'a', arg2: 'b' } });
      expect(prompt.messages[0].content.text.includes("arg1='a', arg2='b'"), 'the prompt lost its arguments');
      const read = await client.readResource({ uri: 'test://template/42/data' });
      expect(JSON.parse(read.contents[0].text).id === '42', 'the resource template lost its id');
    }),

    progress: connected(async ({ call }) => {
      const got = [];
      const onprogress = (progress) => got.push(progress.progress);
      await call({ name: 'test_tool_with_progress', arguments: {} }, { onprogress });
      expect(String(got) === '0,50,100', `progress came as ${got}`);
    }),

    sampling: connected(async ({ call }) => {
      const asking = modern
        ? { name: 'test_input_required_result_sampling', arguments: {} }
        : { name: 'test_sampling', arguments: { prompt: 'What is the capital of France?' } };
      const said = text(await call(asking));
      expect(said.endsWith(': Paris'), `the answer of the model came back as: ${said}`);
    }),

    elicitation: connected(async ({ call }) => {
      const asking = modern
        ? { name: 'test_input_required_result_elicitation', arguments: {} }
        : { name: 'test_elicitation', arguments: { message: 'Who are you?' } };
      const said = text(await call(asking));
      const wanted = modern ? 'my name' : 'my username';
      expect(said.includes(wanted), `the answer of the user came back as: ${said}`);
    }),

    cancellation: connected(async ({ call }) => {
      const label = `${era}-${process.pid}-${Date.now()}`;
      const outcome = async () => text(await call({ name: 'slow_outcome', arguments: { label } }));
      const abort = new AbortController();
      const slow = call({ name: 'slow', arguments: { label, seconds: 20 } }, { signal: abort.signal });
      const ended = slow.then(() => 'answered', () => 'aborted');
      await until('the call runs', async () => (await outcome()) === 'running');
      abort.abort(new Error('no longer wanted'));
      expect((await ended) === 'aborted', 'the cancelled call was answered');
      await until('the server notices the cancellation', async () => (await outcome()) === 'cancelled');
    }),
  };

  if (modern) {
    all.rounds = connected(async ({ call }) => {
      const said = text(await call({ name: 'test_input_required_result_multi_round', arguments: {} }));
      expect(said === 'my name likes my color', `two rounds came back as: ${said}`);
    });
    all.subscription = connected(async ({ client, call, listen }) => {
      const got = new Set();
      client.setNotificationHandler('notifications/tools/list_changed', () => void got.add('tools'));
      client.setNotificationHandler('notifications/resources/updated', (message) => void got.add(message.params.uri));
      client.setNotificationHandler('notifications/prompts/list_changed', () => void got.add('prompts'));
      const subscription = await listen({ toolsListChanged: true, resourceSubscriptions: [WATCHED] });
      for (const what of ['prompt_change', 'tool_change', 'resource_update']) {
        await call({ name: `test_trigger_${what}`, arguments: {} });
      }
      await until('both changes arrive', () => got.has('tools') && got.has(WATCHED));
      expect(!got.has('prompts'), 'a change came that was not asked for');
      await subscription.close();
      got.clear();
      await call({ name: 'test_trigger_tool_change', arguments: {} });
      await pause(300);
      expect(got.size === 0, 'a change came after the subscription was closed');
    });
    return all;
  }

  all.subscription = connected(async ({ client, call, seen, onNotification }) => {
    const got = new Set();
    onNotification('notifications/tools/list_changed', () => void got.add('tools'));
    onNotification('notifications/resources/updated', (message) => void got.add(message.params.uri));
    const opened = () => !seen || seen.some(({ method, status }) => method === 'GET' && status === 200);
    await until('the GET stream opens', opened);
    await client.subscribeResource({ uri: WATCHED });
    await call({ name: 'test_trigger_tool_change', arguments: {} });
    await call({ name: 'test_trigger_resource_update', arguments: {} });
    await until('both changes arrive', () => got.has('tools') && got.has(WATCHED));
    await client.unsubscribeResource({ uri: WATCHED });
  });
  all.resumption = connected(async ({ call, seen }) => {
    const said = text(await call({ name: 'test_reconnection', arguments: {} }));
    expect(said === 'Reconnection test completed', `the resumed call answered: ${said}`);
    if (!seen) return;
    const resumed = seen.filter(({ method, headers }) => method === 'GET' && headers.get('last-event-id'));
    expect(resumed.length > 0, 'the stream was not resumed by Last-Event-ID');
    expect(resumed.every(({ status }) => status === 200), 'resuming was refused');
  });
  all.session_end = async () => {
    const { transport, seen, url } = await open();
    const id = transport.sessionId;
    expect(id, 'the server gave no session');
    await transport.terminateSession();
    const end = seen.find(({ method }) => method === 'DELETE');
    expect(end && end.status < 300, `DELETE was answered ${end?.status}`);
    const after = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': id,
        'mcp-protocol-version': '2025-11-25',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    });
    expect(after.status === 404, `the ended session was answered ${after.status}`);
    await transport.close();
  };
  return all;
}

/** `fetch` that notes what goes out and what status comes back. */
export function witness() {
  const seen = [];
  const watching = async (url, init) => {
    const exchange = { method: init?.method ?? 'GET', headers: new Headers(init?.headers), status: undefined };
    seen.push(exchange);
    const response = await fetch(url, init);
    exchange.status = response.status;
    return response;
  };
  return { seen, fetch: watching };
}
