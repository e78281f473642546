import type { KeyHandle, KeyStore } from '@gigvault/keystore/key-store';
import { describe, expect, it } from '@jest/globals';
import { countedKeyStore, person, personWorld } from '../../test/person.ts';
import { backendsOf } from './backends.ts';
import { testBackend } from './test-backend.ts';

const MINUTE = 60_000;
const asked = { name: 'memory', keyType: 'ec-p256' };

/** A world whose backend fails where a test says. */
function setUp() {
  const { deps, clock, alice, events } = personWorld();
  const store = countedKeyStore();
  const failing = new Set<keyof KeyStore>();
  const stuck = new Set<KeyHandle>();
  const fail = (what: keyof KeyStore) => {
    if (failing.has(what)) throw new Error(`${what} failed`);
  };
  const backend: KeyStore = {
    ...store,
    async publicKey(handle) {
      fail('publicKey');
      return store.publicKey(handle);
    },
    async sign(handle, data, options) {
      fail('sign');
      return store.sign(handle, data, options);
    },
    async remove(handle) {
      fail('remove');
      if (stuck.has(handle)) throw new Error('remove failed');
      return store.remove(handle);
    },
  };
  const world = { ...deps, backends: backendsOf([backend], 'memory') };
  return { deps: world, clock, alice, events, failing, stuck, handles: store.handles };
}

describe('the test of a backend', () => {
  it('is told before and afterwards, and leaves no key', async () => {
    const { deps, alice, events, handles } = setUp();
    expect(await testBackend(deps, asked, alice)).toMatchObject({ keyType: 'ec-p256' });
    expect(events).toEqual([
      {
        type: 'backend.test-begun',
        actor: 'user:alice',
        subject: 'memory',
        data: { keyType: 'ec-p256' },
      },
      {
        type: 'backend.tested',
        actor: 'user:alice',
        subject: 'memory',
        data: { keyType: 'ec-p256', outcome: 'ok' },
      },
    ]);
    expect(handles.size).toBe(0);
  });

  it.each(['publicKey', 'sign'] as const)(
    'that fails at %s is told, and leaves no key',
    async (what) => {
      const { deps, alice, events, failing, handles } = setUp();
      failing.add(what);
      await expect(testBackend(deps, asked, alice)).rejects.toThrow(`${what} failed`);
      expect(events.at(-1)).toMatchObject({
        type: 'backend.tested',
        data: { outcome: 'INTERNAL' },
      });
      expect(handles.size).toBe(0);
    },
  );

  it('removes what an earlier one left, and nothing of one that goes on', async () => {
    const { deps, alice, clock, failing, handles } = setUp();
    failing.add('remove');
    await expect(testBackend(deps, asked, alice)).rejects.toThrow('remove failed');
    failing.clear();
    clock.advance(9 * MINUTE);
    await testBackend(deps, asked, alice);
    expect(handles.size).toBe(1);
    clock.advance(2 * MINUTE);
    await testBackend(deps, asked, alice);
    expect(handles.size).toBe(0);
  });

  it('goes on when what an earlier one left cannot be removed', async () => {
    const { deps, alice, clock, failing, stuck, handles } = setUp();
    failing.add('remove');
    await expect(testBackend(deps, asked, alice)).rejects.toThrow('remove failed');
    failing.clear();
    const [left] = handles;
    stuck.add(left!);
    clock.advance(11 * MINUTE);
    for (let i = 0; i < 2; i++) expect(await testBackend(deps, asked, alice)).toBeDefined();
    expect([...handles]).toEqual([left]);
    stuck.clear();
    await testBackend(deps, asked, alice);
    expect(handles.size).toBe(0);
  });

  it('that fails says why, even when its key cannot be removed', async () => {
    const { deps, alice, failing, handles } = setUp();
    failing.add('sign').add('remove');
    await expect(testBackend(deps, asked, alice)).rejects.toThrow('sign failed');
    expect(handles.size).toBe(1);
  });

  it('of a type that the backend does not make is told', async () => {
    const { deps, events } = personWorld({});
    const bare = { ...countedKeyStore(), secretKeys: undefined } as unknown as KeyStore;
    const world = { ...deps, backends: backendsOf([bare], 'memory') };
    await expect(
      testBackend(world, { ...asked, keyType: 'aes-256' }, person('bob')),
    ).rejects.toMatchObject({ code: 'OPERATION_NOT_SUPPORTED' });
    expect(events.at(-1)).toMatchObject({
      type: 'backend.tested',
      actor: 'user:bob',
      data: { outcome: 'OPERATION_NOT_SUPPORTED' },
    });
  });
});
