// Preloaded into the conformance suite for https URLs; the messages stay as the suite makes them.
//
// Two of its habits keep alpha.12 from testing a server behind TLS: the header scenarios call `http.request` whatever
// the URL's scheme, and the DNS rebinding scenario, which sends a foreign Host, lets undici ask for a certificate of
// that foreign name. Here both go to the tested server over TLS, under the name of its URL.
import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';

const target = new URL(process.env.CONFORMANCE_TARGET);
const port = Number(target.port || 443);

const plain = http.request;
http.request = (options, ...rest) =>
  options?.hostname === target.hostname && Number(options.port || 80) === port
    ? https.request({ ...options, port, servername: target.hostname }, ...rest)
    : plain(options, ...rest);

const connect = tls.connect;
tls.connect = (options, ...rest) =>
  Number(options?.port) === port && options.servername
    ? connect({ ...options, servername: target.hostname }, ...rest)
    : connect(options, ...rest);
