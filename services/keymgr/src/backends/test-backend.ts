import type { Principal } from '@gigvault/access/permissions';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { type KeyHandle, type KeyStore, randomHandle } from '@gigvault/keystore/key-store';
import type { AnyKeyType } from '@gigvault/keystore/key-types';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { type KeySpec, requireKeySpec } from '../keys/key-spec.ts';
import { notForRoles, type RefusalDeps, refuseUse } from '../keys/refuse-use.ts';
import type { KeyVersion, Usage } from '../keys/stored-key.ts';
import type { BackendTestTable, TestKey } from '../ports/backend-test-table.ts';
import type { EventWriter } from '../ports/event-writer.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import type { UseLimits } from '../ports/use-limits.ts';
import type { Backends } from './backends.ts';
import { isSignature, makeSignature, secretKeysOf } from './key-signature.ts';
import { generateIn, publicKeyIn } from './make-key.ts';

/** What testing a backend needs. */
export interface BackendTestDeps extends RefusalDeps {
  readonly backends: Backends;
  readonly limits: UseLimits;
  readonly events: EventWriter;
  readonly backendTests: BackendTestTable;
  readonly clock: Clock;
}

/** Milliseconds of each step of a test. */
export interface BackendTest {
  readonly keyType: AnyKeyType;
  /** Whether it signed and verified, or encrypted and decrypted. */
  readonly usage: Usage;
  readonly generation: number;
  /** Of one signature or MAC, or of one encryption. */
  readonly use: number;
}

const DATA = Buffer.from('GigVault tests this backend.');

/** Milliseconds that no test takes: what was begun before then has died. */
const LONGEST = 10 * 60_000;

/**
 * Makes a key that nobody knows, signs with it and verifies, or encrypts and decrypts, and removes it again. When that worked, so also those of earlier tests that
 * died, or could not remove them; one that cannot be removed is logged. That it begins, and how it ended, is in the event log.
 * Errors: RATE_LIMITED, NOT_FOUND, KEY_USE_REFUSED for a backend that is not for their roles, INVALID_KEY_TYPE, OPERATION_NOT_SUPPORTED for a type that it does not
 * make, KEY_UNAVAILABLE, also for a result that is wrong.
 */
export async function testBackend(
  deps: BackendTestDeps,
  asked: { readonly name: string; readonly keyType: string },
  { actor, roles }: Principal,
): Promise<BackendTest> {
  const { name } = asked;
  const { backends } = deps;
  const store = backends.named(name);
  if (!backends.admits(name, roles))
    throw await refuseUse(deps, '*', { purpose: 'test', caller: actor }, notForRoles(name));
  await deps.limits.take('generate', actor, '*');
  const spec = requireKeySpec(asked);
  const tell = (type: KeyEvent['type'], data: object) =>
    deps.events.append({ type, actor, subject: name, data: { keyType: spec.keyType, ...data } });
  await tell('backend.test-begun', {});
  const outcome = await testWithKey(deps, store, spec)
    .then(async (test) => {
      await removeLeft(deps, store);
      return test;
    })
    .then(
      (test) => ({ test, code: 'ok' }),
      (error: unknown) => ({ error, code: asGigvaultError(error).code }),
    );
  await tell('backend.tested', { outcome: outcome.code });
  if ('error' in outcome) throw outcome.error;
  return outcome.test;
}

/** Of a backend that works: one that does not would let each of them wait. */
async function removeLeft(deps: BackendTestDeps, store: KeyStore): Promise<void> {
  const { backendTests, clock, log } = deps;
  for (const key of await backendTests.begunBefore(store.backend, clock.now() - LONGEST)) {
    if (await removedOrLogged(deps, store, key))
      log.info(fieldsOf(key), 'the key of an earlier test is removed');
  }
}

/**
 * The key is written down before it is made, and forgotten when it is removed: what is not removed now is removed by a later test. So is what a failed generation
 * may have made: a KMS does not yet show it by its name.
 */
async function testWithKey(
  deps: BackendTestDeps,
  store: KeyStore,
  spec: KeySpec,
): Promise<BackendTest> {
  const { backendTests, clock } = deps;
  const { keyType, usage } = spec;
  // A name of its own: two tests at a time must not have one key.
  const name = randomHandle();
  const key: TestKey = { backend: store.backend, name, keyType };
  await durableStep('keymgr.backend-test', () => backendTests.begin(key, clock.now()));
  const start = performance.now();
  const handle = await generateIn(store, spec, { label: 'gigvault-test', name, handle: name });
  const generation = performance.now() - start;
  const use = await useKey(deps.backends, store, spec, handle).catch(async (error: unknown) => {
    await removedOrLogged(deps, store, key, handle);
    throw error;
  });
  await removeKey(deps, store, key, handle);
  return { keyType, usage, generation, use };
}

/** Milliseconds that one use took. Errors: KEY_UNAVAILABLE, also for a result that is wrong. */
async function useKey(
  backends: Backends,
  store: KeyStore,
  spec: KeySpec,
  handle: KeyHandle,
): Promise<number> {
  const { backend } = store;
  const made = { backend, handle, publicKey: await publicKeyIn(store, spec, handle) };
  const begun = performance.now();
  const isRight = await (spec.usage === 'sign' ? testSignature : testEncryption)(backends, made);
  const used = performance.now();
  if (await isRight()) return used - begun;
  throw new GigvaultError('KEY_UNAVAILABLE', `Backend '${backend}' gave a wrong result.`);
}

/** Whether it is removed. Neither hides why a test failed nor holds up other tests. */
async function removedOrLogged(
  deps: BackendTestDeps,
  store: KeyStore,
  key: TestKey,
  handle?: KeyHandle,
): Promise<boolean> {
  try {
    await removeKey(deps, store, key, handle);
    return true;
  } catch (error) {
    deps.log.warn(
      { ...fieldsOf(key), error },
      'the key of a test is not removed; a later one tries again',
    );
    return false;
  }
}
const fieldsOf = ({ backend, name }: TestKey) => ({ backend, name, operation: 'test-backend' });

/** @param handle undefined: not known, the test has died */
async function removeKey(
  { backendTests }: BackendTestDeps,
  store: KeyStore,
  key: TestKey,
  handle?: KeyHandle,
): Promise<void> {
  const { name, keyType } = key;
  if (handle === undefined && store.namedKeys) await store.namedKeys.remove(keyType, name);
  else await store.remove(handle ?? name);
  await durableStep('keymgr.backend-test-end', () => backendTests.end(key));
}

/** What is known of a key that nobody knows. */
type Made = Pick<KeyVersion, 'publicKey' | 'backend' | 'handle'>;

async function testSignature(backends: Backends, made: Made): Promise<() => Promise<boolean>> {
  const signature = await makeSignature(backends, made, DATA, 'der');
  return () => isSignature(backends, made, { data: DATA, signature, format: 'der' });
}

async function testEncryption(backends: Backends, made: Made): Promise<() => Promise<boolean>> {
  const { handle } = made;
  const secretKeys = secretKeysOf(backends, made);
  const sealed = await secretKeys.encrypt(handle, DATA, DATA);
  return async () => (await secretKeys.decrypt(handle, sealed, DATA)).equals(DATA);
}
