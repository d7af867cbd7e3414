// A DPoP proof (RFC 9449 §4.2) of `make demo OIDC=1`, on standard output: Python's own library signs nothing.
//
//   node proof.mjs KEY METHOD URI [ACCESS_TOKEN]
//
// KEY is a file with a private key in PEM, made if it is not there.

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const [file, method, uri, token] = process.argv.slice(2);

if (!existsSync(file)) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
}
const key = createPrivateKey(readFileSync(file));

const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: createPublicKey(key).export({ format: 'jwk' }) };
const claims = { jti: randomUUID(), htm: method, htu: uri, iat: Math.floor(Date.now() / 1000) };
if (token) claims.ath = createHash('sha256').update(token).digest('base64url');

const encoded = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
const signed = `${encoded(header)}.${encoded(claims)}`;
const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
console.log(`${signed}.${signature.toString('base64url')}`);
