import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import { describe, expect, it } from '@jest/globals';
import { namedKeyStore, person, personWorld } from '../../test/person.ts';
import { NOW } from '../../test/signing-fixture.ts';
import { backendsOf } from '../backends/backends.ts';
import { getKey } from '../keys/find-keys.ts';
import { GENERATE_GRANTS, PURPOSES } from '../keys/purposes.ts';
import { generateServiceKey, generateUserKey } from './generate-key.ts';

const alice = person('alice');

describe('generateServiceKey', () => {
  it('gives each service only the purposes that it is granted; nobody a CA key; each refusal is an event — covers: T63', async () => {
    const { deps, events } = personWorld();
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
    const { deps } = personWorld();
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
    const { deps, events } = personWorld();
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
    const { deps, events } = personWorld();
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
    const { deps } = personWorld();
    const { keyId } = await generateUserKey(deps, { keyType: 'ec-p256' }, alice);
    expect(keyId).toMatch(/^[0-9a-f-]{36}$/);
    await expect(generateUserKey(deps, { keyId, keyType: 'ec-p256' }, alice)).rejects.toMatchObject(
      {
        code: 'ALREADY_EXISTS',
      },
    );
  });

  it('leaves no second private key behind when two ask for one id at once', async () => {
    const { deps } = personWorld();
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
    const { deps } = personWorld();
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

describe('a backend that finds keys by their names', () => {
  it('gives one key to two who ask at the same time; the one without a row leaves it to the other', async () => {
    const { deps } = personWorld();
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
