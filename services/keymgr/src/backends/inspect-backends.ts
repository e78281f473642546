import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import type { BackendFacts, BackendType, KeyStore } from '@gigvault/keystore/key-store';
import {
  type AnyKeyType,
  isAesKeyType,
  isHmacKeyType,
  isRsaKeyType,
} from '@gigvault/keystore/key-types';
import type { Backends } from './backends.ts';

/** What looking at backends needs. */
export interface InspectDeps {
  readonly backends: Backends;
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

/** What is done with keys of a type in a backend. */
export interface UsesOfType {
  readonly keyType: AnyKeyType;
  readonly uses: readonly (typeof KEY_USES)[number][];
}

/** See UsesOfType. */
export const KEY_USES = ['sign', 'verify', 'encrypt', 'decrypt'] as const;

/** A backend as it is now. */
export interface BackendState {
  readonly name: string;
  readonly type: BackendType;
  /** New keys are made there. */
  readonly forNewKeys: boolean;
  /** Milliseconds that it took to answer. */
  readonly latency: number;
  /** Undefined while it does not answer. */
  readonly facts: BackendFacts | undefined;
  /** Empty while it does not answer. */
  readonly abilities: readonly Ability[];
  /** Empty while it does not answer. */
  readonly uses: readonly UsesOfType[];
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

async function inspect({ backends }: InspectDeps, store: KeyStore): Promise<BackendState> {
  const { backend: name, type } = store;
  const forNewKeys = name === backends.forNewKeys.backend;
  const start = performance.now();
  const outcome = await store.facts().then(
    (facts) => ({ facts, problem: undefined }),
    (error: unknown) => ({ facts: undefined, problem: asGigvaultError(error).message }),
  );
  const abilities = outcome.facts === undefined ? [] : abilitiesOf(store, outcome.facts);
  const uses = (outcome.facts?.keyTypes ?? []).map((keyType) => usesOf(store, keyType));
  const latency = performance.now() - start;
  return { name, type, forNewKeys, latency, abilities, uses, ...outcome };
}

/** An RSA key signs or decrypts, as it was made for, and not every backend decrypts with one. */
function usesOf({ privateDecryption }: KeyStore, keyType: AnyKeyType): UsesOfType {
  const encrypts =
    isAesKeyType(keyType) || (isRsaKeyType(keyType) && privateDecryption !== undefined);
  const has = { sign: !isAesKeyType(keyType), encrypt: encrypts };
  return {
    keyType,
    uses: KEY_USES.filter((use) => (use === 'sign' || use === 'verify' ? has.sign : has.encrypt)),
  };
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
