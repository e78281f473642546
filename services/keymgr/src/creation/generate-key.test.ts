import { type Principal, permissionsOf } from '@gigvault/access/permissions';
import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock } from '@gigvault/time/clock';
import { generationSubject } from '@gigvault/x509/ca-generation';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { encodeName } from '@gigvault/x509/name';
import { describe, expect, it } from '@jest/globals';
import { namedKeyStore } from '../../test/person.ts';
import { ISSUER, NOW } from '../../test/signing-fixture.ts';
import { memoryTables } from '../adapters/memory-tables.ts';
import { backendsOf } from '../backends/backends.ts';
import { createCaKey } from '../ca-keys/create-ca-key.ts';
import { requestCaCertificate } from '../ca-keys/request-ca-certificate.ts';
import { requestSuccessor } from '../ca-keys/request-successor.ts';
import { getKey, listKeys, readKey } from '../keys/find-keys.ts';
import { GENERATE_GRANTS, PURPOSES } from '../keys/purposes.ts';
import { publicKeyOf } from '../keys/stored-key.ts';
import { generateServiceKey, generateUserKey } from './generate-key.ts';

function setUp() {
  const backends = backendsOf([memoryKeyStore()], 'memory');
  const tables = memoryTables();
  return {
    deps: {
      backends,
      keys: tables.keys,
      limits: tables.limits,
      usage: tables.usage,
      log: silentLog,
      clock: new FakeClock(NOW),
    },
    events: tables.events,
  };
}

const alice: Principal = {
  actor: 'user:alice',
  name: 'alice',
  roles: ['operator'],
  permissions: permissionsOf(['operator']),
  tenantId: 'default',
};

describe('generateServiceKey', () => {
  it('gives each service only the purposes that it is granted; nobody a CA key; each refusal is an event — covers: T63', async () => {
    const { deps, events } = setUp();
    const granted: string[] = [];
    for (const peer of [...SERVICE_NAMES, 'gigvault', 'edge'] as const) {
      for (const purpose of PURPOSES) {
        const request = {
          keyId: `${peer}-${purpose}`,
          keyType: 'ec-p256',
          purposes: [purpose],
          actor: '',
        };
        const outcome = await generateServiceKey(deps, request, peer).catch(
          (error: { code: string }) => error.code,
        );
        if (typeof outcome === 'string') {
          expect(outcome).toBe('KEY_USE_REFUSED');
          expect(events.at(-1)).toMatchObject({
            type: 'key.refused',
            actor: `service:${peer}`,
            subject: request.keyId,
            data: { purpose: 'generate', reason: `${peer} may not generate keys for ${purpose}` },
          });
        } else {
          expect(outcome).toMatchObject({ callers: [peer], purposes: [purpose], issuerName: null });
          granted.push(`${peer} ${purpose}`);
        }
      }
    }
    expect(granted).toEqual(['auth jwtSign', 'ocsp ocspSign', 'audit auditSign']);
    expect(Object.values(GENERATE_GRANTS).flat()).not.toContain('certSign');
  });

  it('refuses no purpose, an unknown one, and one too many', async () => {
    const { deps } = setUp();
    const request = (purposes: string[]) => ({
      keyId: 'ocsp-issuing',
      keyType: 'ec-p256',
      purposes,
      actor: '',
    });
    await expect(generateServiceKey(deps, request([]), 'ocsp')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(generateServiceKey(deps, request(['x']), 'ocsp')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(
      generateServiceKey(deps, request(['ocspSign', 'certSign']), 'ocsp'),
    ).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
  });

  it("keeps every service to ids of its own: nobody takes the next CA's", async () => {
    const { deps, events } = setUp();
    const request = { keyType: 'ec-p256', purposes: ['ocspSign'], actor: '' };
    for (const keyId of ['ca-issuing-2', 'ocspx', 'audit-checkpoint']) {
      await expect(generateServiceKey(deps, { ...request, keyId }, 'ocsp')).rejects.toMatchObject({
        code: 'KEY_USE_REFUSED',
      });
      expect(events.at(-1)).toMatchObject({ type: 'key.refused', subject: keyId });
    }
    await expect(
      generateServiceKey(deps, { ...request, keyId: 'ocsp-/' }, 'ocsp'),
    ).rejects.toMatchObject({ code: 'INVALID_KEY_ID' });
  });
});

describe('generateUserKey', () => {
  it('makes a key that belongs to the person and signs nothing, with its event', async () => {
    const { deps, events } = setUp();
    const key = await generateUserKey(deps, { keyId: 'my-key', keyType: 'rsa-2048' }, alice);
    expect(key).toMatchObject({
      owner: 'user:alice',
      purposes: [],
      callers: [],
      state: 'active',
      createdAt: NOW,
    });
    expect(key.keyType).toBe('rsa-2048');
    expect(events).toMatchObject([
      {
        type: 'key.generated',
        actor: 'user:alice',
        subject: 'my-key',
        data: { keyType: 'rsa-2048' },
      },
    ]);
  });

  it('names a key itself when it is given no id, and takes an id once', async () => {
    const { deps } = setUp();
    const { keyId } = await generateUserKey(deps, { keyType: 'ec-p256' }, alice);
    expect(keyId).toMatch(/^[0-9a-f-]{36}$/);
    await expect(generateUserKey(deps, { keyId, keyType: 'ec-p256' }, alice)).rejects.toMatchObject(
      {
        code: 'ALREADY_EXISTS',
      },
    );
  });

  it('leaves no second private key behind when two ask for one id at once', async () => {
    const { deps } = setUp();
    const removed: string[] = [];
    const keyStore = {
      ...deps.backends.forNewKeys,
      remove: async (handle: string) => void removed.push(handle),
    };
    const backends = backendsOf([keyStore], 'memory');
    const request = { keyId: 'k', keyType: 'ec-p256' };
    const outcomes = await Promise.allSettled([
      generateUserKey({ ...deps, backends }, request, alice),
      generateUserKey({ ...deps, backends }, request, alice),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(removed).toHaveLength(1);
    expect(removed).not.toContain((await getKey(deps, 'k')).handle);
  });

  it('covers: T67. refuses ids that are not opaque, and unknown key types', async () => {
    const { deps } = setUp();
    for (const keyId of ['', '../x', '..%2f', 'a\0', 'a b', 'a'.repeat(256)]) {
      await expect(
        generateUserKey(deps, { keyId, keyType: 'ec-p256' }, alice),
      ).rejects.toMatchObject({
        code: 'INVALID_KEY_ID',
      });
      await expect(getKey(deps, keyId)).rejects.toMatchObject({ code: 'INVALID_KEY_ID' });
    }
    for (const keyType of ['', 'rsa-1024', 'ec-p224', 'toString']) {
      await expect(generateUserKey(deps, { keyId: 'k', keyType }, alice)).rejects.toMatchObject({
        code: 'INVALID_KEY_TYPE',
      });
    }
  });
});

describe('CA keys', () => {
  it('are bound to their name, and make a request that proves possession', async () => {
    const { deps, events } = setUp();
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
    const { deps, events } = setUp();
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
    const { deps, events } = setUp();
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
    const { deps, events } = setUp();
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

describe('listKeys', () => {
  it('pages by key id, within one tenant', async () => {
    const { deps, events } = setUp();
    for (const keyId of ['c', 'a', 'b'])
      await generateUserKey(deps, { keyId, keyType: 'ec-p256' }, alice);
    await generateUserKey(
      deps,
      { keyId: 'd', keyType: 'ec-p256' },
      { ...alice, tenantId: 'other' },
    );
    const first = await listKeys(deps, {
      limit: 2,
      cursor: '',
      tenantId: 'default',
      actor: alice.actor,
    });
    expect([first.items.map(({ keyId }) => keyId), first.nextCursor]).toEqual([['a', 'b'], 'b']);
    const second = await listKeys(deps, {
      limit: 2,
      cursor: first.nextCursor,
      tenantId: 'default',
      actor: alice.actor,
    });
    expect([second.items.map(({ keyId }) => keyId), second.nextCursor]).toEqual([['c'], '']);
    expect((await listKeys(deps, { limit: 0, cursor: '', actor: alice.actor })).items).toHaveLength(
      4,
    );
    await expect(readKey(deps, 'd', alice)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    expect(events.at(-1)).toMatchObject({
      type: 'key.refused',
      actor: 'user:alice',
      subject: 'd',
      data: { purpose: 'read', reason: 'it is a key of another tenant' },
    });
    await expect(
      listKeys(deps, { limit: 1001, cursor: '', actor: alice.actor }),
    ).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('knows a backend that is not there from one without keys — covers: K152, K157, K175', async () => {
    const { deps } = setUp();
    const page = { limit: 0, cursor: '', actor: alice.actor };
    expect((await listKeys(deps, { ...page, backend: 'memory' })).items).toEqual([]);
    await expect(listKeys(deps, { ...page, backend: 'nope' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: "There is no key backend 'nope'; there is memory.",
    });
  });
});

describe('a backend that finds keys by their names', () => {
  it('gives one key to two who ask at the same time; the one without a row leaves it to the other', async () => {
    const { deps } = setUp();
    const store = namedKeyStore();
    const backends = backendsOf([store], 'memory');
    const request = { keyId: 'twice', keyType: 'ec-p256' };
    const outcomes = await Promise.allSettled([
      generateUserKey({ ...deps, backends }, request, alice),
      generateUserKey({ ...deps, backends }, request, alice),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const key = await deps.keys.find('twice');
    expect(key?.publicKey?.spki).toEqual(await store.publicKey(key!.handle));
    expect(store.handles.size).toBe(1);
  });
});
