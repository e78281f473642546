import type { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import type { KeyHandle } from '../key-store.ts';
import type { KmsAlgorithm } from './kms-algorithm.ts';
import type { KmsClient } from './kms-client.ts';
import { isPendingDeletion } from './kms-failure.ts';
import { type KmsRequests, kmsRequests } from './kms-requests.ts';

/** Makes, finds and removes keys in KMS. */
export interface KmsKeys {
  /** See KeyStore.generate. The key is there for every part of KMS when this resolves. */
  generate(algorithm: KmsAlgorithm, names: KeyNames): Promise<KeyHandle>;
  /** SubjectPublicKeyInfo, DER. Errors: KEY_NOT_FOUND, KEY_UNAVAILABLE. */
  publicKey(handle: KeyHandle): Promise<Buffer>;
  /** Schedules the deletion of the key, and takes its alias away. */
  remove(handle: KeyHandle): Promise<void>;
  /** The same for the key that `generate` would find. */
  removeNamed(algorithm: KmsAlgorithm, name: string): Promise<void>;
  /** False also for one that waits for its end. Errors: KEY_UNAVAILABLE. */
  isThere(handle: KeyHandle): Promise<boolean>;
  /** Errors: KEY_UNAVAILABLE when KMS does not even list aliases. */
  list(): Promise<void>;
}

interface KeyNames {
  readonly label?: string | undefined;
  readonly name?: string | undefined;
}

/** What they need. */
export interface KmsKeysOptions {
  readonly client: KmsClient;
  readonly clock: Clock;
  /** Milliseconds. */
  readonly deadline: number;
  readonly instance: string;
  readonly deletionDays?: number | undefined;
}

/** Milliseconds before a key that KMS has just made, and does not know yet, is asked for again. */
const PROPAGATION_PAUSE = 200;

/** See KmsKeys. */
export function kmsKeys(options: KmsKeysOptions): KmsKeys {
  const { client, instance, deletionDays = 30 } = options;
  const prefix = `alias/gigvault/${instance}/`;
  const requests = kmsRequests(client);

  async function create(algorithm: KmsAlgorithm, { label, name }: KeyNames): Promise<KeyHandle> {
    const handle = await requests.createKey(algorithm, `GigVault ${label ?? ''}`.trim(), {
      'gigvault:instance': instance,
      ...(name === undefined ? {} : { 'gigvault:name': name }),
    });
    await isEverywhere(requests, handle, options);
    return handle;
  }

  async function remove(handle: KeyHandle): Promise<void> {
    try {
      for (const alias of await requests.aliasesOf(handle))
        if (alias.startsWith(prefix)) await requests.deleteAlias(alias);
      await requests.scheduleDeletion(handle, deletionDays);
    } catch (error) {
      if ((error as GigvaultError).code !== 'KEY_NOT_FOUND' && !isPendingDeletion(error))
        throw error;
    }
  }

  return {
    publicKey: requests.publicKey,
    isThere: requests.isThere,
    list: requests.listAliases,
    remove,
    async removeNamed(algorithm, name) {
      const handle = await requests.underAlias(`${prefix}${name}`, algorithm);
      if (handle !== undefined) await remove(handle);
    },
    async generate(algorithm, names) {
      if (names.name === undefined) return create(algorithm, names);
      const alias = `${prefix}${names.name}`;
      const earlier = await requests.underAlias(alias, algorithm);
      if (earlier !== undefined) return earlier;
      const handle = await create(algorithm, names);
      if (await requests.takeAlias(alias, handle)) return handle;
      // Somebody asked for the same at the same time: both have the key of the first.
      const first = await requests.underAlias(alias, algorithm);
      if (first === undefined || first === handle) return handle;
      await remove(handle);
      return first;
    },
  };
}

/** KMS is eventually consistent: for a moment some parts of it know a new key, others do not. */
async function isEverywhere(
  { publicKey }: KmsRequests,
  handle: KeyHandle,
  { clock, deadline }: KmsKeysOptions,
): Promise<void> {
  const end = clock.elapsed() + deadline;
  for (;;) {
    try {
      await publicKey(handle);
      return;
    } catch (error) {
      if ((error as GigvaultError).code !== 'KEY_NOT_FOUND' || clock.elapsed() >= end) throw error;
    }
    await clock.sleep(PROPAGATION_PAUSE);
  }
}
