// The TypeScript client 1.x with its own OAuth.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { main } from './oauth.mjs';

await main(async (url, authProvider, parameters) => {
  const transport = new StreamableHTTPClientTransport(url, { authProvider });
  if (parameters) await transport.finishAuth(parameters.get('code'));
  const client = new Client({ name: 'palisade-e2e-oauth', version: '1.0.0' });
  await client.connect(transport);
  return client;
});
