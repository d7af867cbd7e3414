// An OpenID provider for the tests: the library with a grant of its own, three clients, four resources, and a new key each time.
//
//   OIDC_PROVIDER=FILE node provider.mjs PORT
//
// Serves HTTPS on loopback with `issuer.pem` and `issuer.key` of the folder it is started in, at any free port if PORT is 0,
// and prints one line of JSON once it does: {"issuer": URL}.

import { createHash, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const { default: Provider } = await import(process.env.OIDC_PROVIDER);

const RESOURCES = {
  'https://accounts.example': { audience: 'accounts', accessTokenFormat: 'jwt' },
  'https://others.example': { audience: 'others', accessTokenFormat: 'jwt' },
  // Its tokens mean something to this provider alone.
  'https://opaque.example': { audience: 'accounts', accessTokenFormat: 'opaque' },
  'https://opaque-others.example': { audience: 'others', accessTokenFormat: 'opaque' },
};

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const client = (id, more) => ({
  client_id: id,
  client_secret: 'secret',
  token_endpoint_auth_method: 'client_secret_post',
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  // The only algorithm that there is a key for.
  id_token_signed_response_alg: 'ES256',
  ...more,
});

const resourceServer = (_, resource) => ({ scope: '', jwt: { sign: { alg: 'ES256' } }, ...RESOURCES[resource] });

const configuration = {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
  // Looked at when they are first asked for, and by then the grant that is none of the library's is there.
  clients: [
    client('agent', { grant_types: ['client_credentials', EXCHANGE] }),
    client('bound', { dpop_bound_access_tokens: true }),
    client('resource', { token_endpoint_auth_method: 'client_secret_basic' }),
  ],
  extraTokenClaims,
  formats: { customizers: { jwt: bindToCertificate } },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    // Who may ask is who has a secret. What it is told of refresh tokens is not held back.
    introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientAuthMethod !== 'none' },
    revocation: { enabled: true, allowedPolicy: (ctx, client, token) => token.clientId === client.clientId },
    resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer },
  },
};

// Who acts; and who it is, where the library says so in JWTs alone.
function extraTokenClaims(ctx, token) {
  if (ctx.oidc.params.grant_type === EXCHANGE) return { act: exchanged(ctx.oidc.params).act };
  return token.clientId === 'bound' ? { sub: token.clientId } : undefined;
}

// The library binds a token to one thing: what it bound to a key is bound to the connection's certificate here (RFC 8705 §3.1).
function bindToCertificate(ctx, token, jwt) {
  const certificate = ctx.socket.getPeerX509Certificate();
  if (token.jkt) jwt.payload.cnf['x5t#S256'] = createHash('sha256').update(certificate.raw).digest('base64url');
}

// Token exchange (RFC 8693) that believes what it is told: the subject is the one of an access token of this provider, with those
// who act for it already, or, where it is no JWT, a user's name. The actor is a SPIFFE ID.
function exchanged({ subject_token: subject, actor_token: actor }) {
  const claims = subject.split('.')[1];
  const { sub, act } = claims ? JSON.parse(Buffer.from(claims, 'base64url')) : { sub: subject };
  return { sub, act: actor ? { sub: actor, act } : act };
}

async function exchange(provider, ctx) {
  const { client, params } = ctx.oidc;
  const accountId = exchanged(params).sub;
  const grantId = await new provider.Grant({ accountId, clientId: client.clientId }).save();
  const wanted = params.requested_token_type ?? `${TOKEN_TYPE}:access_token`;
  const kind = wanted === `${TOKEN_TYPE}:refresh_token` ? provider.RefreshToken : provider.AccessToken;
  const token = new kind({ accountId, client, grantId, gty: 'token-exchange' });
  if (kind === provider.AccessToken) {
    token.resourceServer = new provider.ResourceServer(params.resource, resourceServer(ctx, params.resource));
  }
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: wanted,
    token_type: kind === provider.AccessToken ? 'Bearer' : 'N_A',
    expires_in: token.expiration,
  };
}

const tls = { cert: readFileSync('issuer.pem'), key: readFileSync('issuer.key'), requestCert: true, rejectUnauthorized: false };
const server = createServer(tls);
server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  const parameters = ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type', 'resource'];
  provider.registerGrantType(EXCHANGE, (ctx) => exchange(provider, ctx), parameters);
  server.on('request', provider.callback());
  console.log(JSON.stringify({ issuer }));
});
