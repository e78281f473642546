import type { Principal } from '@gigvault/access/permissions';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { verifyWith } from '@gigvault/keystore/key-algorithm';
import type { BackendFacts, KeyStore } from '@gigvault/keystore/key-store';
import { type KeyType, readPublicKey } from '@gigvault/x509/public-key';
import type { Backends } from '../backends/backends.ts';
import type { UseLimits } from '../ports/use-limits.ts';
import { notForRoles } from './generate-key.ts';
import { type RefusalDeps, refuseUse } from './refuse-use.ts';

/** What looking at backends needs. */
export interface InspectDeps extends RefusalDeps {
  readonly backends: Backends;
  readonly limits: UseLimits;
}

/** A backend as it is now. */
export interface BackendState {
  readonly name: string;
  /** New keys are made there. */
  readonly forNewKeys: boolean;
  /** Milliseconds that it took to answer. */
  readonly latency: number;
  /** Undefined while it does not answer. */
  readonly facts: BackendFacts | undefined;
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
  readonly keyType: KeyType;
  readonly generation: number;
  readonly signature: number;
}

const DATA = Buffer.from('GigVault tries this backend.');

/**
 * Makes a key that nobody knows, signs with it, verifies, and removes it again.
 * Errors: RATE_LIMITED, NOT_FOUND, KEY_USE_REFUSED for a backend that is not for their roles, OPERATION_NOT_SUPPORTED for a type that it does not make, KEY_UNAVAILABLE, also for a signature that does not verify.
 */
export async function tryBackend(
  deps: InspectDeps,
  { name, keyType }: { readonly name: string; readonly keyType: KeyType },
  { actor, roles }: Principal,
): Promise<BackendTrial> {
  const store = deps.backends.named(name);
  if (!deps.backends.admits(name, roles))
    throw await refuseUse(deps, '*', { purpose: 'test', caller: actor }, notForRoles(name));
  await deps.limits.take('generate', actor, '*');
  deps.log.info({ backend: name, operation: 'try-backend', actor }, 'a backend is tried');
  const start = performance.now();
  const handle = await store.generate(keyType, { label: 'gigvault-trial' });
  try {
    const generated = performance.now();
    const signature = await store.sign(handle, DATA, { format: 'der' });
    const signed = performance.now();
    const { keyObject } = readPublicKey(await store.publicKey(handle));
    if (!(await verifyWith(keyObject, DATA, signature, 'der')))
      throw new GigvaultError('KEY_UNAVAILABLE', `Backend '${name}' gave a wrong signature.`);
    return { keyType, generation: generated - start, signature: signed - generated };
  } finally {
    await store.remove(handle);
  }
}

async function inspect({ backends }: InspectDeps, store: KeyStore): Promise<BackendState> {
  const name = store.backend;
  const forNewKeys = name === backends.forNewKeys.backend;
  const start = performance.now();
  const outcome = await store.facts().then(
    (facts) => ({ facts, problem: undefined }),
    (error: unknown) => ({ facts: undefined, problem: asGigvaultError(error).message }),
  );
  return { name, forNewKeys, latency: performance.now() - start, ...outcome };
}
