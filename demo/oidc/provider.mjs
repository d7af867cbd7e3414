// The OpenID provider of `make demo OIDC=1`: oidc-provider with its defaults, two people, a login page, one resource.
//
//   OIDC_PROVIDER=FILE node provider.mjs
//
// Serves HTTPS on a free port of 127.0.0.1 with `issuer.pem` and `issuer.key` of the folder it is started in, and prints one
// line of JSON once it does: {"issuer": URL}. `introspection-secret` of that folder is Countersign's own secret. Ends when its
// standard input closes, so that it never outlives what started it. Never for production: the passwords stand below.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const { default: Provider, errors } = await import(process.env.OIDC_PROVIDER);

const RESOURCE = 'https://accounts.demo.example';
const PEOPLE = new Map([
  ['alice', { password: 'demo', roles: ['teller'] }],
  ['bob', { password: 'demo', roles: [] }],
]);
const ONE_TIME_CODE = '123456'; // an authenticator would make a new one each time
const MAX_FORM_BYTES = 4096; // three short fields
const INTERACTION = /^\/interaction\/[\w-]+$/;

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

// A program on somebody's machine: it can keep no secret, and takes codes at any port of its own (RFC 8252 §7.3).
const agent = (name) => ({
  client_id: name,
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code'],
  response_types: ['code'],
  redirect_uris: ['http://127.0.0.1/callback'],
  id_token_signed_response_alg: 'ES256',
});

const configuration = {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  clients: [
    agent('ledger'),
    agent('ledger-opaque'),
    {
      // Gets no tokens: it asks about those of others (RFC 7662).
      client_id: 'countersign',
      client_secret: readFileSync('introspection-secret', 'utf8'),
      grant_types: [],
      response_types: [],
      redirect_uris: [],
      id_token_signed_response_alg: 'ES256',
    },
  ],
  // How somebody logged in, from the weakest to the strongest.
  acrValues: ['password', 'otp'],
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  // Of the access token: the person's roles, and how and when they logged in (RFC 9470 §6.1).
  extraTokenClaims: (ctx, token) => {
    const { acr, authTime } = ctx.oidc.entities.AuthorizationCode;
    return { roles: PEOPLE.get(token.accountId).roles, acr, auth_time: authTime };
  },
  features: {
    devInteractions: { enabled: false },
    dPoP: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource, client) => {
        if (resource !== RESOURCE) throw new errors.InvalidTarget();
        return {
          scope: 'accounts:read transfers:write',
          audience: RESOURCE,
          accessTokenFormat: client.clientId === 'ledger-opaque' ? 'opaque' : 'jwt',
          accessTokenTTL: 3600, // people take their time
          jwt: { sign: { alg: 'ES256' } },
        };
      },
    },
  },
};

const escaped = (text) => String(text).replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);

// What the client asks for at the resource; `openid` is between it and the provider.
const scope = (params) => params.scope.split(' ').filter((one) => one !== 'openid').join(' ');

// Whether it asks for a login by a one-time code, too.
const wantsCode = (params) => (params.acr_values ?? '').split(' ').includes('otp');

function page(params, problem) {
  const code = wantsCode(params)
    ? `<p><label>One-time code (it is ${ONE_TIME_CODE})<br><input name="otp" inputmode="numeric" autocomplete="off"></label></p>`
    : '';
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sign in</title>
<style>body{font:16px sans-serif;max-width:26em;margin:4em auto}input,button{font:inherit;padding:.3em}</style>
<h1>Sign in</h1>
<p>With this, <b>${escaped(params.client_id)}</b> may do for you at ${escaped(params.resource)}: <b>${escaped(scope(params))}</b></p>
<p role="alert">${escaped(problem)}</p>
<form method="post">
<p><label>User (alice or bob)<br><input name="username" value="${escaped(params.login_hint ?? '')}" autocomplete="off"></label></p>
<p><label>Password (it is demo)<br><input name="password" type="password" autocomplete="off" autofocus></label></p>
${code}
<p><button>Sign in and allow</button></p>
</form></html>`;
}

async function form(request) {
  let text = '';
  for await (const part of request) {
    text += part;
    if (text.length > MAX_FORM_BYTES) throw new Error('the form is too long');
  }
  return new URLSearchParams(text);
}

// What the person allowed, and the login that goes with it.
async function login(provider, params, username) {
  const grant = new provider.Grant({ accountId: username, clientId: params.client_id });
  grant.addOIDCScope('openid');
  grant.addResourceScope(params.resource, scope(params));
  const acr = wantsCode(params) ? 'otp' : 'password';
  return { login: { accountId: username, acr }, consent: { grantId: await grant.save() } };
}

// The login page, and the form that comes back. The library knows the browser by its cookie, and throws if it does not.
async function interact(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  let problem = '';
  if (request.method === 'POST') {
    const fields = await form(request);
    const username = fields.get('username') ?? '';
    const right = PEOPLE.get(username)?.password === fields.get('password');
    if (right && (!wantsCode(params) || fields.get('otp') === ONE_TIME_CODE)) {
      await provider.interactionFinished(request, response, await login(provider, params, username));
      return;
    }
    problem = 'That is not right. Try again.';
  }
  const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'x-frame-options': 'DENY' };
  response.writeHead(200, headers).end(page(params, problem));
}

process.stdin.resume().on('end', () => process.exit());

const server = createServer({ cert: readFileSync('issuer.pem'), key: readFileSync('issuer.key') });
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  const library = provider.callback();
  server.on('request', (request, response) => {
    if (!INTERACTION.test(request.url)) {
      library(request, response);
      return;
    }
    interact(provider, request, response).catch((error) => {
      console.error(error);
      response.writeHead(400, { 'content-type': 'text/plain' }).end('This login is over. Begin again.\n');
    });
  });
  console.log(JSON.stringify({ issuer }));
});
