import { type Principal, permissionsOf, type Role } from '@gigvault/access/permissions';
import type { KeyHandle, KeyStore } from '@gigvault/keystore/key-store';
import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { memoryBackendTestTable } from '../src/adapters/memory-backend-test-table.ts';
import { memoryTables } from '../src/adapters/memory-tables.ts';
import { type BackendRoles, backendsOf } from '../src/backends/backends.ts';
import type { BackendTestDeps } from '../src/backends/test-backend.ts';
import { generateUserKey } from '../src/creation/generate-key.ts';
import type { PersonDeps } from '../src/keys/require-own-key.ts';
import type { StoredKey } from '../src/keys/stored-key.ts';
import { DAY, NOW } from './signing-fixture.ts';

/** How long destroyed keys wait in these tests. */
export const WAIT = 7 * DAY;

/** Somebody who is signed in. */
export function person(name: string, role: Role = 'operator', tenantId = 'default'): Principal {
  const roles = [role];
  return { actor: `user:${name}`, name, roles, permissions: permissionsOf(roles), tenantId };
}

/** A backend in memory that tells which private keys it has. */
export interface CountedKeyStore extends KeyStore {
  readonly handles: ReadonlySet<KeyHandle>;
}

/** One that has none yet. */
export function countedKeyStore(backend?: string): CountedKeyStore {
  const inner = memoryKeyStore(backend);
  const handles = new Set<KeyHandle>();
  return {
    ...inner,
    handles,
    async generate(keyType, options) {
      const handle = await inner.generate(keyType, options);
      handles.add(handle);
      return handle;
    },
    async remove(handle) {
      await inner.remove(handle);
      handles.delete(handle);
    },
  };
}

/** One that finds keys by name, as KMS does by aliases. */
export function namedKeyStore(): CountedKeyStore {
  const inner = countedKeyStore();
  const names = new Map<string, Promise<KeyHandle>>();
  const remove = async (handle: KeyHandle) => {
    for (const [name, known] of names) if ((await known) === handle) names.delete(name);
    await inner.remove(handle);
  };
  return {
    ...inner,
    remove,
    async generate(keyType, { name } = {}) {
      const known = `${name} ${keyType}`;
      const made = names.get(known) ?? inner.generate(keyType);
      names.set(known, made);
      return made;
    },
    namedKeys: {
      async remove(keyType, name) {
        const made = await names.get(`${name} ${keyType}`);
        if (made !== undefined) await remove(made);
      },
    },
  };
}

/**
 * Everything in memory, with a clock that a test moves: the backend `memory`, where new keys go, and `vault`.
 *
 * @param rolesOf whom each backend is for; absent: everybody
 */
export function personWorld(rolesOf: BackendRoles = {}) {
  const store = countedKeyStore();
  const tables = memoryTables();
  const clock = new FakeClock(NOW);
  const deps: PersonDeps & BackendTestDeps = {
    backends: backendsOf([store, countedKeyStore('vault')], 'memory', rolesOf),
    keys: tables.keys,
    encryptions: tables.encryptions,
    usage: tables.usage,
    limits: tables.limits,
    log: silentLog,
    clock,
    clockGuard: createClockGuard(clock),
    destructionWait: WAIT,
    destructionApprovals: 0,
    events: { append: async (event) => void tables.events.push(event) },
    backendTests: memoryBackendTestTable(),
  };
  const alice = person('alice');
  return {
    deps,
    store,
    clock,
    alice,
    events: tables.events,
    /** A key of alice's. */
    key: (keyId = 'k', keyType = 'ec-p256'): Promise<StoredKey> =>
      generateUserKey(deps, { keyId, keyType }, alice),
    /** Types of the events about the key. */
    told: (keyId = 'k') =>
      tables.events.filter(({ subject }) => subject === keyId).map(({ type }) => type),
  };
}
