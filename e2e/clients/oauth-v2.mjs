// The TypeScript client 2.x with its own OAuth.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

import { main } from './oauth.mjs';

await main(async (url, authProvider, parameters) => {
  const transport = new StreamableHTTPClientTransport(url, { authProvider });
  if (parameters) await transport.finishAuth(parameters);
  const client = new Client({ name: 'palisade-e2e-oauth', version: '1.0.0' });
  await client.connect(transport);
  return client;
});
