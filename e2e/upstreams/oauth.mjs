// An MCP server that is an OAuth resource server of its own, on the TypeScript SDK: `oauth.mjs PORT ISSUER`. The first line of
// standard output is `{"url": URL}`. It takes tokens for the address that clients call, which the proxy in front tells it.
import express from 'express';
import * as jose from 'jose';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

const [port, issuer] = process.argv.slice(2);
const oauthMetadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
const keys = jose.createRemoteJWKSet(new URL(oauthMetadata.jwks_uri));

const app = express();
const server = app.listen(Number(port), '127.0.0.1', () => {
  const url = new URL(`http://127.0.0.1:${server.address().port}/mcp`);
  const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(url);
  app.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: url, scopesSupported: ['mcp:read'] }));
  app.use((request, response, next) => {
    const audience = `${request.get('x-forwarded-proto')}://${request.get('x-forwarded-host')}/mcp`;
    const verifyAccessToken = async (token) => {
      try {
        const { payload } = await jose.jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt' });
        return { token, clientId: payload.client_id, scopes: (payload.scope ?? '').split(' '), expiresAt: payload.exp };
      } catch (error) {
        throw new InvalidTokenError(String(error));
      }
    };
    return requireBearerAuth({ verifier: { verifyAccessToken }, requiredScopes: ['mcp:read'], resourceMetadataUrl })(request, response, next);
  });
  app.post('/mcp', express.json(), async (request, response) => {
    const mcp = new McpServer({ name: 'oauth', version: '1.0.0' });
    mcp.registerTool('echo', { inputSchema: { message: z.string() } }, async ({ message }) => ({ content: [{ type: 'text', text: message }] }));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    response.on('close', () => mcp.close());
    await mcp.connect(transport);
    await transport.handleRequest(request, response, request.body);
  });
  app.all('/mcp', (_, response) => response.status(405).end());
  console.log(JSON.stringify({ url: url.href }));
});
