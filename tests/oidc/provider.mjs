// An OpenID provider for the tests: the library with its defaults, one client, two resources, and a new key each time.
//
//   OIDC_PROVIDER=FILE node provider.mjs PORT
//
// Serves HTTPS on loopback with `issuer.pem` and `issuer.key` of the folder it is started in, at any free port if PORT is 0,
// and prints one line of JSON once it does: {"issuer": URL}.

import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const { default: Provider } = await import(process.env.OIDC_PROVIDER);

const AUDIENCES = { 'https://accounts.example': 'accounts', 'https://others.example': 'others' };

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const configuration = {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
  clients: [
    {
      client_id: 'agent',
      client_secret: 'secret',
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      // The only algorithm that there is a key for.
      id_token_signed_response_alg: 'ES256',
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: '',
        audience: AUDIENCES[resource],
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
};

const server = createServer({ cert: readFileSync('issuer.pem'), key: readFileSync('issuer.key') });
server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  server.on('request', new Provider(issuer, configuration).callback());
  console.log(JSON.stringify({ issuer }));
});
