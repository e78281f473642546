import { randomUUID } from 'node:crypto';
import type { Principal } from '@gigvault/access/permissions';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { BackendFacts, KeyStore } from '@gigvault/keystore/key-store';
import { type AnyKeyType, isAesKeyType, isHmacKeyType } from '@gigvault/keystore/key-types';
import type { Backends } from '../backends/backends.ts';
import type { UseLimits } from '../ports/use-limits.ts';
import { isSignature, makeSignature, secretKeysOf } from '../signing/key-signature.ts';
import { makeKey } from './create-key.ts';
import { notForRoles } from './generate-key.ts';
import { requireKeySpec } from './key-spec.ts';
import { type RefusalDeps, refuseUse } from './refuse-use.ts';

/** What looking at backends needs. */
export interface InspectDeps extends RefusalDeps {
  readonly backends: Backends;
  readonly limits: UseLimits;
}

/** What backends can do; all but the last three every one of them does. */
export const ABILITIES = [
  'generate',
  'sign',
  'verify',
  'rotate',
  'destroy',
  'encrypt',
  'decrypt',
  'mac',
] as const;

/** One of ABILITIES. */
export type Ability = (typeof ABILITIES)[number];

/** A backend as it is now. */
export interface BackendState {
  readonly name: string;
  /** New keys are made there. */
  readonly forNewKeys: boolean;
  /** Milliseconds that it took to answer. */
  readonly latency: number;
  /** Undefined while it does not answer. */
  readonly facts: BackendFacts | undefined;
  /** Empty while it does not answer. */
  readonly abilities: readonly Ability[];
  /** Why it does not answer; undefined when it is well. */
  readonly problem: string | undefined;
}

/** All configured backends, asked at the same time. */
export function inspectBackends(deps: InspectDeps): Promise<BackendState[]> {
  return Promise.all(deps.backends.all.map((store) => inspect(deps, store)));
}

/** Errors: NOT_FOUND. */
export function inspectBackend(deps: InspectDeps, name: string): Promise<BackendState> {
  return inspect(deps, deps.backends.named(name));
}

/** Milliseconds of each step of a trial. */
export interface BackendTrial {
  readonly keyType: AnyKeyType;
  readonly generation: number;
  /** Of one signature, or encryption. */
  readonly signature: number;
}

const DATA = Buffer.from('GigVault tries this backend.');

/**
 * Makes a key that nobody knows, signs with it and verifies, or encrypts and decrypts, and removes it again.
 * Errors: RATE_LIMITED, NOT_FOUND, KEY_USE_REFUSED for a backend that is not for their roles, INVALID_KEY_TYPE, OPERATION_NOT_SUPPORTED for a type that it does not
 * make, KEY_UNAVAILABLE, also for a result that is wrong.
 */
export async function tryBackend(
  deps: InspectDeps,
  asked: { readonly name: string; readonly keyType: string },
  { actor, roles }: Principal,
): Promise<BackendTrial> {
  const { name } = asked;
  const { backends, log } = deps;
  const store = backends.named(name);
  if (!backends.admits(name, roles))
    throw await refuseUse(deps, '*', { purpose: 'test', caller: actor }, notForRoles(name));
  await deps.limits.take('generate', actor, '*');
  const spec = requireKeySpec(asked);
  log.info({ backend: name, operation: 'try-backend', actor }, 'a backend is tried');
  const start = performance.now();
  // A name of its own: two trials at a time must not have one key.
  const trial = { keyId: `gigvault-trial-${randomUUID()}`, version: 1 };
  const made = await makeKey(deps, spec, trial, name);
  try {
    const generated = performance.now();
    const isRight = await (spec.usage === 'sign' ? trySignature : tryEncryption)(backends, made);
    const used = performance.now();
    if (!(await isRight()))
      throw new GigvaultError('KEY_UNAVAILABLE', `Backend '${name}' gave a wrong result.`);
    return { keyType: spec.keyType, generation: generated - start, signature: used - generated };
  } finally {
    await store.remove(made.handle);
  }
}

/** What is known of a key that nobody knows. */
type Made = Awaited<ReturnType<typeof makeKey>>;

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

async function inspect({ backends }: InspectDeps, store: KeyStore): Promise<BackendState> {
  const name = store.backend;
  const forNewKeys = name === backends.forNewKeys.backend;
  const start = performance.now();
  const outcome = await store.facts().then(
    (facts) => ({ facts, problem: undefined }),
    (error: unknown) => ({ facts: undefined, problem: asGigvaultError(error).message }),
  );
  const abilities = outcome.facts === undefined ? [] : abilitiesOf(store, outcome.facts);
  return { name, forNewKeys, latency: performance.now() - start, abilities, ...outcome };
}

function abilitiesOf({ privateDecryption }: KeyStore, { keyTypes }: BackendFacts): Ability[] {
  const encrypts = privateDecryption !== undefined || keyTypes.some(isAesKeyType);
  const has: Partial<Record<Ability, boolean>> = {
    encrypt: encrypts,
    decrypt: encrypts,
    mac: keyTypes.some(isHmacKeyType),
  };
  return ABILITIES.filter((ability) => has[ability] ?? true);
}
