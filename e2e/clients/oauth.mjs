// What the Node OAuth clients share: a provider that keeps everything in memory, and a person who follows the links.
export const CALLBACK = 'http://127.0.0.1:9/callback';

/** Follows the authorization server's pages, as a browser would, to the code at the redirect URI. */
export async function approve(url) {
  const jar = new Map();
  let next = new URL(url);
  for (let hops = 0; hops < 20; hops += 1) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(next, { redirect: 'manual', headers: cookie ? { cookie } : {} });
    for (const line of answer.headers.getSetCookie()) {
      const [pair] = line.split(';');
      const at = pair.indexOf('=');
      jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const location = answer.headers.get('location');
    if (!location) throw new Error(`${next}: ${answer.status} ${(await answer.text()).slice(0, 300)}`);
    next = new URL(location, next);
    if (next.href.startsWith(CALLBACK)) return next.searchParams;
  }
  throw new Error('too many redirects');
}

/** An OAuthClientProvider. */
export function provider() {
  const kept = {};
  return {
    kept,
    redirectUrl: CALLBACK,
    clientMetadata: {
      client_name: 'palisade-e2e',
      redirect_uris: [CALLBACK],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      scope: 'mcp:read',
    },
    clientInformation: () => kept.client,
    saveClientInformation: (client) => (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => (kept.tokens = tokens),
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => (kept.verifier = verifier),
    redirectToAuthorization: async (url) => {
      kept.visits = (kept.visits ?? 0) + 1;
      kept.parameters = await approve(url);
    },
  };
}

/** When a token ends, in milliseconds. */
const end = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).exp * 1000;

/** Connects with nothing but the URL, calls a tool, refreshes, and calls again; with `over` once more when the token is over by so many seconds. */
export async function run({ url, connect, over }) {
  const authProvider = provider();
  const passed = [];
  let client;
  try {
    await connect(url, authProvider);
    throw new Error('the server asked for nothing');
  } catch (error) {
    if (!authProvider.kept.parameters) throw error;
    passed.push('challenged');
  }
  client = await connect(url, authProvider, authProvider.kept.parameters);
  passed.push('token');
  const call = async () => {
    const { tools } = await client.listTools();
    if (!tools.some((tool) => tool.name === 'echo')) throw new Error('no tool');
    const result = await client.callTool({ name: 'echo', arguments: { message: 'hi' } });
    if (!JSON.stringify(result.content).includes('hi')) throw new Error(JSON.stringify(result));
  };
  await call();
  passed.push('call');
  if (over) {
    const { access_token: first } = authProvider.kept.tokens;
    const { visits } = authProvider.kept;
    const rest = end(first) + over * 1000 - Date.now();
    await new Promise((done) => setTimeout(done, Math.max(rest, 0)));
    await call();
    if (authProvider.kept.tokens.access_token === first) throw new Error('the token is the same');
    if (authProvider.kept.visits !== visits) throw new Error('a person was asked again');
    passed.push('over');
  }
  // The next request brings a token that is none: the client is to refresh by itself.
  if (authProvider.kept.tokens.refresh_token) {
    authProvider.kept.tokens = { ...authProvider.kept.tokens, access_token: 'eyJ.spent.x' };
    await call();
    passed.push('refreshed');
  }
  await client.close();
  return passed;
}

/** Runs, reports on one line and ends. */
export async function main(connect) {
  const url = new URL(process.argv[2]);
  try {
    const passed = await Promise.race([
      run({ url, connect, over: Number(process.argv[3] ?? 0) }),
      new Promise((_, fail) => setTimeout(() => fail(new Error('took too long')), 60_000).unref()),
    ]);
    console.log(JSON.stringify({ passed, failed: [] }));
    process.exit(0);
  } catch (error) {
    console.log(JSON.stringify({ passed: [], failed: [String(error?.stack ?? error), String(error?.cause ?? '')] }));
    process.exit(1);
  }
}
