import { createHash, hash } from 'node:crypto';
import type { AwsConnection } from '@gigvault/secrets/aws-client';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { type KeyStore, parseKeyHandle } from '../key-store.ts';
import { isKmsKeyType, KMS_KEY_TYPES, kmsAlgorithm } from './kms-algorithm.ts';
import { kmsClient } from './kms-client.ts';
import { kmsKeys } from './kms-keys.ts';
import { kmsSigner } from './kms-signer.ts';

/** Which KMS, and how patient to be. */
export interface AwsKmsOptions {
  readonly connection: AwsConnection;
  /** Of this installation alone, `^[a-z0-9-]{1,36}$`: aliases begin with it, so that no two installations take each other's keys. */
  readonly instance: string;
  /** Days between a removal and the end of the key, 7 to 30. Default 30. */
  readonly deletionDays?: number | undefined;
  /** Milliseconds that a call may take, its retries included. Default 5,000. */
  readonly deadline?: number;
  readonly clock?: Clock;
}

/** A key store that holds connections. */
export interface AwsKmsKeyStore extends KeyStore {
  close(): Promise<void>;
}

/** Milliseconds for which one look at KMS that found it well is enough: each costs money, and health and facts are asked for all the time. */
const LOOKED_FOR = 10_000;

/**
 * Keys in AWS KMS, which they never leave. Digests are made here, so data may have any length. A handle is the id of the KMS key. Signatures are
 * checked by whoever asks for them (T13).
 */
export function awsKmsKeyStore(options: AwsKmsOptions): AwsKmsKeyStore {
  const { connection, deadline = 5_000, clock = systemClock } = options;
  const client = kmsClient({ ...connection, deadline, clock });
  const keys = kmsKeys({ ...options, client, clock, deadline });
  const signer = kmsSigner(client, keys);
  let lookedAt = Number.NEGATIVE_INFINITY;

  async function look(): Promise<void> {
    if (clock.elapsed() - lookedAt < LOOKED_FOR) return;
    await signer.look();
    lookedAt = clock.elapsed();
  }

  return {
    backend: 'aws-kms',
    type: 'aws-kms',
    generate: async (keyType, { label, name } = {}) =>
      keys.generate(kmsAlgorithm(keyType), { label, name }),
    publicKey: async (handle) => (await signer.find(handle)).spki,
    async sign(handle, data, { format }) {
      const { keyType } = await signer.find(handle);
      const digest = hash(kmsAlgorithm(keyType).hash, data, 'buffer');
      return signer.sign(handle, digest, { keyType, format });
    },
    async startSignature(handle, { format }) {
      const { keyType } = await signer.find(handle);
      const digest = createHash(kmsAlgorithm(keyType).hash);
      return {
        update: (part) => void digest.update(part),
        sign: () => signer.sign(handle, digest.digest(), { keyType, format }),
      };
    },
    async remove(handle) {
      signer.forget(handle);
      await keys.remove(handle);
    },
    namedKeys: {
      async remove(keyType, name) {
        // Of other types it has none.
        if (isKmsKeyType(keyType)) await keys.removeNamed(kmsAlgorithm(keyType), name);
      },
    },
    async missing(handles) {
      const there = await Promise.all(
        handles.map((handle) => keys.isThere(parseKeyHandle(handle))),
      );
      return handles.filter((_, i) => !there[i]);
    },
    async facts() {
      await look();
      return {
        description: `AWS KMS in ${await client.region()}`,
        keyTypes: KMS_KEY_TYPES,
        hardware: true,
        fips: connection.useFipsEndpoint === true ? true : undefined,
      };
    },
    check: look,
    close: async () => client.close(),
  };
}
