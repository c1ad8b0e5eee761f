// A real OAuth 2.1 authorization server, oidc-provider, on a free port: `idp.mjs PORT [SECONDS]`, which its tokens
// last (300). The first line of standard output is
// `{"url": ISSUER}`.
//
// Beside the provider's own routes, for the tests alone:
//   POST /control/rotate {"keys": ["r1", "e2"]}  publish these keys; the first of them signs
//   POST /control/token  {"resource", "scope", "alg", "dpop", "certificate"}  a token by client credentials; `dpop` brings a
//                                                key to bind it to, `certificate` (DER in base64) is one
//   POST /control/hostile {"resource"}           tokens of every hostile class, by name
//   POST /control/proof  {"method", "url", "token", ...}  a DPoP proof by the key of the last bound token
//   GET  /control/count                           how often the key set was fetched
import { createHash, createHmac, randomUUID, X509Certificate } from 'node:crypto';
import http from 'node:http';

import * as jose from 'jose';
import Provider from 'oidc-provider';

const secret = 'test-secret-not-real';
const made = {};
async function key(id) {
  if (!made[id]) {
    const alg = id.startsWith('r') ? 'RS256' : 'ES256';
    const pair = await jose.generateKeyPair(alg, { extractable: true });
    made[id] = { ...(await jose.exportJWK(pair.privateKey)), kid: id, alg, use: 'sig' };
  }
  return made[id];
}

let issuer;
let published = ['r1', 'e1'];
let provider;
let fetched = 0;
let dpopKey;

const lifetime = Number(process.argv[3] ?? 300);

async function start(keys) {
  published = keys;
  const jwks = { keys: await Promise.all(keys.map(key)) };
  const signs = process.env.ALG ?? jwks.keys[0].alg;
  provider = new Provider(issuer, {
    jwks,
    clients: [
      {
        client_id: 'mcp-cli',
        client_secret: secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_basic',
      },
      {
        client_id: 'mcp-dpop',
        client_secret: secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_basic',
        dpop_bound_access_tokens: true,
      },
      {
        client_id: 'mcp-mtls',
        client_secret: secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_basic',
        tls_client_certificate_bound_access_tokens: true,
      },
    ],
    scopes: ['openid', 'offline_access', 'mcp:read', 'mcp:write'],
    findAccount: async (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    pkce: { required: () => true },
    clientDefaults: { grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'none' },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      dPoP: { enabled: true },
      // As behind a terminator that hands on what it has verified.
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: (context) => {
          const der = context.get('x-test-certificate');
          return der ? new X509Certificate(Buffer.from(der, 'base64')) : undefined;
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (context, resource) => ({
          scope: 'mcp:read mcp:write',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifetime,
          jwt: { sign: { alg: context.oidc?.params?.test_alg ?? signs } },
        }),
      },
    },
    extraParams: ['test_alg'],
  });
  provider.proxy = true;
}

// Whoever comes is logged in as alice and agrees to everything: what a person would click.
async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'alice' } });
  }
  const existing = grantId && (await provider.Grant.find(grantId));
  const grant = existing || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

const basic = (client) => `Basic ${Buffer.from(`${client}:${secret}`).toString('base64')}`;

async function token({ resource, scope = 'mcp:read', alg, dpop, certificate }) {
  const client = dpop ? 'mcp-dpop' : certificate ? 'mcp-mtls' : 'mcp-cli';
  const headers = { authorization: basic(client), 'content-type': 'application/x-www-form-urlencoded' };
  if (certificate) headers['x-test-certificate'] = certificate;
  const url = `${issuer}/token`;
  if (dpop) {
    dpopKey = await jose.generateKeyPair('ES256', { extractable: true });
    headers.dpop = await proof({ method: 'POST', url });
  }
  const form = { grant_type: 'client_credentials', resource, scope, ...(alg && { test_alg: alg }) };
  const answer = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(form) });
  return answer.json();
}

// `claims` and `header` override what an honest proof would say.
async function proof({ method, url, token, claims = {}, header = {}, other = false, private: whole = false }) {
  const pair = other ? await jose.generateKeyPair('ES256', { extractable: true }) : dpopKey;
  const jwk = await jose.exportJWK(whole ? pair.privateKey : pair.publicKey);
  const ath = token && createHash('sha256').update(token).digest('base64url');
  const payload = { htm: method, htu: url, jti: randomUUID(), iat: Math.floor(Date.now() / 1000), ...(ath && { ath }), ...claims };
  return new jose.SignJWT(payload).setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header }).sign(pair.privateKey);
}

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

async function hostile({ resource }) {
  const [rsa, ec] = [await key(published.find((id) => id.startsWith('r'))), await key(published.find((id) => id.startsWith('e')))];
  const signer = async (jwk) => jose.importJWK(jwk, jwk.alg);
  const now = Math.floor(Date.now() / 1000);
  const good = { iss: issuer, aud: resource, sub: 'mallory', exp: now + 300, iat: now, client_id: 'x', scope: 'mcp:read' };
  const sign = async (claims, header = {}, jwk = rsa) =>
    new jose.SignJWT(claims).setProtectedHeader({ alg: jwk.alg, typ: 'at+jwt', kid: jwk.kid, ...header }).sign(await signer(jwk));
  const raw = async (payload, header) => {
    const input = `${encode(header ?? { alg: 'RS256', typ: 'at+jwt', kid: rsa.kid })}.${encode(payload)}`;
    const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', await signer(rsa), Buffer.from(input));
    return `${input}.${Buffer.from(signature).toString('base64url')}`;
  };
  const pss = async (payload) => {
    const input = `${encode({ alg: 'RS256', typ: 'at+jwt', kid: rsa.kid })}.${encode(payload)}`;
    const signature = await crypto.subtle.sign({ name: 'RSA-PSS', saltLength: 32 }, await jose.importJWK({ ...rsa, alg: 'PS256' }, 'PS256'), Buffer.from(input));
    return `${input}.${Buffer.from(signature).toString('base64url')}`;
  };
  // The last of 86 characters has four bits that say nothing.
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const spare = (text) => text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1)) + 1];
  const swapped = (text) => {
    const bytes = Buffer.from(text, 'base64url');
    return Buffer.concat([bytes.subarray(32), bytes.subarray(0, 32)]).toString('base64url');
  };
  const without = (name) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));
  const { d, p, q, dp, dq, qi, ...publicRsa } = rsa;
  const pem = await jose.exportSPKI(await jose.importJWK(publicRsa, 'RS256'));
  const hs256 = (secret, header = {}) => {
    const input = `${encode({ alg: 'HS256', typ: 'at+jwt', kid: rsa.kid, ...header })}.${encode(good)}`;
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const foreign = { ...(await jose.exportJWK((await jose.generateKeyPair('RS256', { extractable: true })).privateKey)), alg: 'RS256', kid: rsa.kid };
  const { d: _, p: __, q: ___, dp: ____, dq: _____, qi: ______, ...foreignPublic } = foreign;
  const valid = await sign(good);
  const [head, body, signature] = valid.split('.');
  const es = await sign(good, {}, ec);
  const [esHead, esBody] = es.split('.');
  const tokens = {
    'alg none': `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
    'alg None': `${encode({ alg: 'None', typ: 'at+jwt', kid: rsa.kid })}.${body}.`,
    'alg nOnE': `${encode({ alg: 'nOnE', typ: 'at+jwt', kid: rsa.kid })}.${body}.${signature}`,
    'no alg': `${encode({ typ: 'at+jwt', kid: rsa.kid })}.${body}.${signature}`,
    'hs256 by the public pem': hs256(pem),
    'hs256 by the public jwk': hs256(JSON.stringify(publicRsa)),
    'hs256 by nothing': hs256(''),
    'rs256 by the id of the ec key': await sign(good, { kid: ec.kid }),
    'es256 by the id of the rsa key': await sign(good, { kid: rsa.kid }, ec),
    'ps256 by an rs256 key': `${encode({ alg: 'PS256', typ: 'at+jwt', kid: rsa.kid })}.${body}.${signature}`,
    'zero signature': `${esHead}.${esBody}.${Buffer.alloc(64).toString('base64url')}`,
    'short signature': `${esHead}.${esBody}.${Buffer.alloc(32).toString('base64url')}`,
    'der signature': `${esHead}.${esBody}.${Buffer.from([0x30, 6, 2, 1, 1, 2, 1, 1]).toString('base64url')}`,
    'empty signature': `${head}.${body}.`,
    'changed claims': `${head}.${encode({ ...good, sub: 'root' })}.${signature}`,
    'another key': await sign(good, {}, foreign),
    'embedded jwk': await sign(good, { jwk: foreignPublic }, foreign),
    'embedded jku': await sign(good, { jku: 'https://evil.example/jwks' }, foreign),
    'embedded x5u': await sign(good, { x5u: 'https://evil.example/cert' }, foreign),
    'embedded x5c': await sign(good, { x5c: ['MIIB'] }, foreign),
    'kid traversal': await sign(good, { kid: '../../../../dev/null' }, foreign),
    'kid sql': await sign(good, { kid: "x' UNION SELECT 'key" }, foreign),
    'kid unknown': await sign(good, { kid: 'nobody' }, foreign),
    'no kid': await sign(good, { kid: undefined }),
    'crit': `${encode({ alg: 'RS256', typ: 'at+jwt', kid: rsa.kid, crit: ['exp'] })}.${body}.${signature}`,
    'b64 false': `${encode({ alg: 'RS256', typ: 'at+jwt', kid: rsa.kid, b64: false })}.${body}.${signature}`,
    'jwe': `${head}.${body}.${signature}.${signature}.${signature}`,
    'two parts': `${head}.${body}`,
    'duplicate claim': await raw(`{"sub":"alice",${JSON.stringify({ ...good }).slice(1)}`),
    'duplicate claim escaped': await raw(`{"\\u0061ud":"x",${JSON.stringify(good).slice(1)}`),
    'exp as string': await raw({ ...good, exp: `${good.exp}` }),
    'exp as fraction': await raw(JSON.stringify(good).replace(`${good.exp}`, `${good.exp}.5`)),
    'exp negative': await raw({ ...good, exp: -1 }),
    'exp endless': await raw(JSON.stringify(good).replace(`${good.exp}`, '1e999')),
    'expired': await raw({ ...good, exp: now - 3600 }),
    'no exp': await raw(without('exp')),
    'no iss': await raw(without('iss')),
    'no aud': await raw(without('aud')),
    'no sub': await raw(without('sub')),
    'empty sub': await raw({ ...good, sub: '' }),
    'sub as number': await raw({ ...good, sub: 7 }),
    'nbf in the future': await raw({ ...good, nbf: now + 3600 }),
    'iat in the future': await raw({ ...good, iat: now + 3600 }),
    'aud empty': await raw({ ...good, aud: [] }),
    'aud longer': await raw({ ...good, aud: `${resource}/x` }),
    'aud with a slash': await raw({ ...good, aud: `${resource}/` }),
    'aud shorter': await raw({ ...good, aud: resource.slice(0, -1) }),
    'aud of another resource': await raw({ ...good, aud: 'https://other.example/mcp' }),
    'aud as object': await raw({ ...good, aud: { [resource]: true } }),
    'iss with a slash': await raw({ ...good, iss: `${issuer}/` }),
    'iss in capitals': await raw({ ...good, iss: issuer.toUpperCase() }),
    'iss of another': await raw({ ...good, iss: 'https://evil.example' }),
    'id token': await raw(good, { alg: 'RS256', typ: 'JWT', kid: rsa.kid }),
    'no typ': await raw(good, { alg: 'RS256', kid: rsa.kid }),
    'padded base64': `${head}=.${body}.${signature}`,
    'standard alphabet': `${head}.${body}.${signature.replaceAll('-', '+').replaceAll('_', '/')}+/`,
    'no json': await raw('claims'),
    'array of claims': await raw([good]),
    'twenty kilobytes': `${head}.${body}.${'A'.repeat(20000)}`,
    'deep': await raw(`{"x":${'['.repeat(200)}${']'.repeat(200)},${JSON.stringify(good).slice(1)}`),
    'crit empty': await raw(good, { alg: 'RS256', typ: 'at+jwt', kid: rsa.kid, crit: [] }),
    'b64 true': await raw(good, { alg: 'RS256', typ: 'at+jwt', kid: rsa.kid, b64: true }),
    'cty JWT': await raw(good, { alg: 'RS256', typ: 'at+jwt', kid: rsa.kid, cty: 'JWT' }),
    'nested': await raw(valid, { alg: 'RS256', typ: 'at+jwt', kid: rsa.kid, cty: 'JWT' }),
    'kid as array': await raw(good, { alg: 'RS256', typ: 'at+jwt', kid: [rsa.kid] }),
    'kid overlong': await raw(good, { alg: 'RS256', typ: 'at+jwt', kid: rsa.kid.repeat(2000) }),
    'alg twice': await raw(good, `{"alg":"none",${JSON.stringify({ alg: 'RS256', typ: 'at+jwt', kid: rsa.kid }).slice(1)}`),
    'pss by the rs256 key': await pss(good),
    'typ of a logout token': await raw(good, { alg: 'RS256', typ: 'logout+jwt', kid: rsa.kid }),
    'aud mixed': await raw({ ...good, aud: [resource, 7, null] }),
    'aud nested': await raw({ ...good, aud: [[resource]] }),
    'exp huge': await raw({ ...good, exp: 1e15 }),
    'exp with exponent': await raw(JSON.stringify(good).replace(`${good.exp}`, '9e9')),
    'duplicate far inside': await raw(`{"x":{"y":[{"a":1,"a":2}]},${JSON.stringify(good).slice(1)}`),
    'half a surrogate pair': await raw(JSON.stringify(good).replace('mallory', '\\ud800')),
    'signature with spare bits': `${esHead}.${esBody}.${spare(es.split('.')[2])}`,
    'r and s swapped': `${esHead}.${esBody}.${swapped(es.split('.')[2])}`,
    'four parts': `${valid}.${signature}`,
    'dots': '.........',
    'nothing but dots': '..',
  };
  return { valid, es, tokens };
}

const body = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString() || '{}');
};

const server = http.createServer(async (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  const say = (value) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
  try {
    if (pathname === '/control/rotate') {
      await start((await body(request)).keys);
      return say({});
    }
    if (pathname === '/control/token') return say(await token(await body(request)));
    if (pathname === '/control/hostile') return say(await hostile(await body(request)));
    if (pathname === '/control/proof') return say({ proof: await proof(await body(request)) });
    if (pathname === '/control/count') return say({ fetched });
    if (pathname.startsWith('/interaction/')) return await interact(request, response);
    if (pathname === '/jwks') fetched += 1;
    return provider.callback()(request, response);
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
    response.end(String(error));
  }
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', async () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  await start(published);
  console.log(JSON.stringify({ url: issuer }));
});
