import { randomUUID } from 'node:crypto';
import type { Principal } from '@gigvault/access/permissions';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyHandle, KeyStore } from '@gigvault/keystore/key-store';
import type { AnyKeyType } from '@gigvault/keystore/key-types';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { Backends } from '../backends/backends.ts';
import type { EventWriter } from '../ports/event-writer.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import type { TrialTable } from '../ports/trial-table.ts';
import type { UseLimits } from '../ports/use-limits.ts';
import { isSignature, makeSignature, secretKeysOf } from '../signing/key-signature.ts';
import { generateIn, publicKeyIn } from './create-key.ts';
import { notForRoles } from './generate-key.ts';
import { type KeySpec, requireKeySpec } from './key-spec.ts';
import { type RefusalDeps, refuseUse } from './refuse-use.ts';
import type { KeyVersion } from './stored-key.ts';

/** What trying a backend needs. */
export interface TrialDeps extends RefusalDeps {
  readonly backends: Backends;
  readonly limits: UseLimits;
  readonly events: EventWriter;
  readonly trials: TrialTable;
  readonly clock: Clock;
}

/** Milliseconds of each step of a trial. */
export interface BackendTrial {
  readonly keyType: AnyKeyType;
  readonly generation: number;
  /** Of one signature, or encryption. */
  readonly signature: number;
}

const DATA = Buffer.from('GigVault tries this backend.');

/** Milliseconds that no trial takes: what was begun before then has died. */
const LONGEST = 10 * 60_000;

/**
 * Makes a key that nobody knows, signs with it and verifies, or encrypts and decrypts, and removes it again; so also one of an earlier trial that died, or
 * could not remove it. That it begins, and how it ended, is in the event log.
 * Errors: RATE_LIMITED, NOT_FOUND, KEY_USE_REFUSED for a backend that is not for their roles, INVALID_KEY_TYPE, OPERATION_NOT_SUPPORTED for a type that it does not
 * make, KEY_UNAVAILABLE, also for a result that is wrong.
 */
export async function tryBackend(
  deps: TrialDeps,
  asked: { readonly name: string; readonly keyType: string },
  { actor, roles }: Principal,
): Promise<BackendTrial> {
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
  const outcome = await removeLeft(deps, store)
    .then(() => tryWithKey(deps, store, spec))
    .then(
      (trial) => ({ trial, code: 'ok' }),
      (error: unknown) => ({ error, code: asGigvaultError(error).code }),
    );
  await tell('backend.tested', { outcome: outcome.code });
  if ('error' in outcome) throw outcome.error;
  return outcome.trial;
}

async function removeLeft({ trials, clock, log }: TrialDeps, store: KeyStore): Promise<void> {
  const { backend } = store;
  for (const handle of await trials.begunBefore(backend, clock.now() - LONGEST)) {
    await removeTrial(trials, store, handle);
    log.info(
      { backend, operation: 'try-backend', handle },
      'the key of an earlier trial is removed',
    );
  }
}

/** The key is written down before it is used, and forgotten when it is removed: what cannot be removed now is removed by a later trial. */
async function tryWithKey(
  { backends, trials, clock }: TrialDeps,
  store: KeyStore,
  spec: KeySpec,
): Promise<BackendTrial> {
  const { backend } = store;
  const start = performance.now();
  // A name of its own: two trials at a time must not have one key.
  const name = `gigvault-trial-${randomUUID()}`;
  const handle = await generateIn(store, spec, { label: name, name });
  try {
    const generated = performance.now();
    await durableStep('keymgr.trial', () => trials.begin(backend, handle, clock.now()));
    const made = { backend, handle, publicKey: await publicKeyIn(store, spec, handle) };
    const begun = performance.now();
    const isRight = await (spec.usage === 'sign' ? trySignature : tryEncryption)(backends, made);
    const used = performance.now();
    if (!(await isRight()))
      throw new GigvaultError('KEY_UNAVAILABLE', `Backend '${backend}' gave a wrong result.`);
    return { keyType: spec.keyType, generation: generated - start, signature: used - begun };
  } finally {
    await removeTrial(trials, store, handle);
  }
}

async function removeTrial(trials: TrialTable, store: KeyStore, handle: KeyHandle): Promise<void> {
  await store.remove(handle);
  await durableStep('keymgr.trial-end', () => trials.end(store.backend, handle));
}

/** What is known of a key that nobody knows. */
type Made = Pick<KeyVersion, 'publicKey' | 'backend' | 'handle'>;

async function trySignature(backends: Backends, made: Made): Promise<() => Promise<boolean>> {
  const signature = await makeSignature(backends, made, DATA, 'der');
  return () => isSignature(backends, made, { data: DATA, signature, format: 'der' });
}

async function tryEncryption(backends: Backends, made: Made): Promise<() => Promise<boolean>> {
  const { handle } = made;
  const secretKeys = secretKeysOf(backends, made);
  const sealed = await secretKeys.encrypt(handle, DATA, DATA);
  return async () => (await secretKeys.decrypt(handle, sealed, DATA)).equals(DATA);
}
