import { createPrivateKey, X509Certificate } from 'node:crypto';
import { Agent } from 'node:https';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import acme from 'acme-client';
import { type AcmeWorld, startAcmeWorld } from './acme-world.ts';

let world: AcmeWorld;

beforeAll(async () => {
  world = await startAcmeWorld();
  acme.axios.defaults.httpsAgent = new Agent({ ca: world.rootPem });
});

afterAll(() => world.stop());

it('an unmodified client registers, orders, finalizes, downloads and revokes — covers: G27, G28', async () => {
  const client = new acme.Client({
    directoryUrl: `${world.url}/acme/directory`,
    accountKey: await acme.crypto.createPrivateEcdsaKey(),
    backoffAttempts: 5,
    backoffMin: 100,
  });
  const [key, csr] = await acme.crypto.createCsr(
    { commonName: 'a.localhost', altNames: ['a.localhost', 'b.localhost'] },
    await acme.crypto.createPrivateEcdsaKey(),
  );
  let answered = '';
  const chain = await client.auto({
    csr,
    email: 'admin@example.com',
    termsOfServiceAgreed: true,
    skipChallengeVerification: true,
    challengeCreateFn: async (_authorization, _challenge, keyAuthorization) => {
      answered = keyAuthorization;
    },
    challengeRemoveFn: async () => undefined,
  });
  expect(answered).not.toBe('');
  const certificate = new X509Certificate(chain);
  expect(certificate.subjectAltName).toBe('DNS:a.localhost, DNS:b.localhost');
  expect(certificate.checkPrivateKey(createPrivateKey(key.toString()))).toBe(true);
  expect(certificate.verify(new X509Certificate(world.ca.issuer).publicKey)).toBe(true);
  await client.revokeCertificate(chain, { reason: 4 });
  await expect(client.revokeCertificate(chain, { reason: 4 })).rejects.toThrow(/revoked/i);
  await client.updateAccountKey(await acme.crypto.createPrivateEcdsaKey());
  await client.updateAccount({ contact: [] });
});

it('an unmodified client with an RSA key does the same', async () => {
  const client = new acme.Client({
    directoryUrl: `${world.url}/acme/directory`,
    accountKey: await acme.crypto.createPrivateRsaKey(2048),
  });
  const [, csr] = await acme.crypto.createCsr(
    { altNames: ['c.localhost'] },
    await acme.crypto.createPrivateRsaKey(2048),
  );
  const chain = await client.auto({
    csr,
    email: 'admin@example.com',
    termsOfServiceAgreed: true,
    skipChallengeVerification: true,
    challengeCreateFn: async () => undefined,
    challengeRemoveFn: async () => undefined,
  });
  expect(new X509Certificate(chain).subjectAltName).toBe('DNS:c.localhost');
});
