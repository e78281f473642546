import { generationSubject } from '@gigvault/x509/ca-generation';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { encodeName } from '@gigvault/x509/name';
import { describe, expect, it } from '@jest/globals';
import { person, personWorld } from '../../test/person.ts';
import { ISSUER } from '../../test/signing-fixture.ts';
import { generateUserKey } from '../creation/generate-key.ts';
import { publicKeyOf } from '../keys/stored-key.ts';
import { createCaKey } from './create-ca-key.ts';
import { requestCaCertificate } from './request-ca-certificate.ts';
import { requestSuccessor } from './request-successor.ts';

const alice = person('alice');

describe('CA keys', () => {
  it('are bound to their name, and make a request that proves possession', async () => {
    const { deps, events } = personWorld();
    const key = await createCaKey(deps, {
      keyId: 'ca-issuing',
      keyType: 'ec-p256',
      subject: ISSUER,
    });
    expect(key).toMatchObject({ purposes: ['certSign', 'crlSign'], callers: ['ca', 'crl'] });
    expect(key.issuerName).toEqual(encodeName(ISSUER));
    const request = parseCertificationRequest(await requestCaCertificate(deps, 'ca-issuing'));
    expect(events.at(-1)).toMatchObject({
      type: 'key.used',
      actor: 'service:gigvault',
      subject: 'ca-issuing',
      data: { purpose: 'request-certificate', caller: 'gigvault', count: 1, version: 1 },
    });
    expect(request.subject).toEqual(ISSUER);
    expect(request.publicKey.spki).toEqual(publicKeyOf(key).spki);
  });

  it('alone make such a request', async () => {
    const { deps, events } = personWorld();
    await generateUserKey(deps, { keyId: 'k', keyType: 'ec-p256' }, alice);
    await expect(requestCaCertificate(deps, 'k')).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
    expect(events.at(-1)).toMatchObject({ type: 'key.refused', subject: 'k' });
  });
});

describe('the next key of a CA', () => {
  const asked = { keyId: 'ca-issuing', generation: 2, actor: 'user:alice' };

  it('is as the first, under the next name, and made once — covers: G24', async () => {
    const { deps, events } = personWorld();
    await createCaKey(deps, { keyId: 'ca-issuing', keyType: 'ec-p384', subject: ISSUER });
    const [{ key }, again] = await Promise.all([
      requestSuccessor(deps, asked, 'ca'),
      requestSuccessor(deps, asked, 'ca'),
    ]);
    expect(key).toMatchObject({
      keyId: 'ca-issuing-g2',
      purposes: ['certSign', 'crlSign'],
      callers: ['ca', 'crl'],
      publicKey: { keyType: 'ec-p384' },
    });
    expect(key.issuerName).toEqual(encodeName(generationSubject(ISSUER, 2)));
    const request = parseCertificationRequest(again.certificationRequest);
    expect(request.publicKey.spki).toEqual(publicKeyOf(key).spki);
    expect(encodeName(request.subject)).toEqual(key.issuerName);
    expect(events.filter(({ subject }) => subject === 'ca-issuing-g2')).toMatchObject([
      { type: 'key.generated', actor: 'user:alice' },
      { type: 'key.used', actor: 'user:alice', data: { caller: 'ca' } },
      { type: 'key.used', actor: 'user:alice', data: { purpose: 'request-certificate' } },
    ]);
  });

  it('is nobody’s but who signs certificates with the first — covers: T63', async () => {
    const { deps, events } = personWorld();
    await createCaKey(deps, { keyId: 'ca-issuing', keyType: 'ec-p256', subject: ISSUER });
    await generateUserKey(deps, { keyId: 'k', keyType: 'ec-p256' }, alice);
    await requestSuccessor(deps, asked, 'ca');
    for (const [changes, caller] of [
      [{}, 'ocsp'],
      [{}, 'crl'],
      [{ keyId: 'k' }, 'ca'],
      [{ keyId: 'ca-issuing-g2' }, 'ca'],
    ] as const) {
      const request = { ...asked, ...changes };
      await expect(requestSuccessor(deps, request, caller)).rejects.toMatchObject({
        code: 'KEY_USE_REFUSED',
      });
      expect(events.at(-1)).toMatchObject({
        type: 'key.refused',
        actor: `service:${caller}`,
        subject: request.keyId,
        data: { purpose: 'request-successor' },
      });
    }
    for (const generation of [0, 1, 1000, 2.5])
      await expect(requestSuccessor(deps, { ...asked, generation }, 'ca')).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
  });
});
