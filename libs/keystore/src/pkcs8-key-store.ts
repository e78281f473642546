import type { KeyObject } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { access, constants, readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { syncFolder } from '@gigvault/files/durable-file';
import { LRUCache } from 'lru-cache';
import {
  generateKeyObject,
  signWith,
  softwareFacts,
  subjectPublicKeyInfo,
} from './key-algorithm.ts';
import { encryptedPkcs8, openJwe, openPkcs8, pkcs8File, secretFile } from './key-file.ts';
import { keyFileRotation } from './key-file-rotation.ts';
import {
  type KeyHandle,
  type KeyStore,
  type NewKeyOptions,
  parseKeyHandle,
  randomHandle,
} from './key-store.ts';
import type { PairKeyType } from './key-types.ts';
import type { MasterKeys } from './master-key.ts';
import { decryptRsa } from './rsa-encryption.ts';
import { sealSecretKey } from './sealed-secret.ts';
import {
  decryptWith,
  encryptWith,
  generateSecretKey,
  macWith,
  type SecretKey,
} from './secret-key.ts';
import { startSignature } from './streamed-signature.ts';
import { openWrapped } from './wrapped-key.ts';

/** Where the files are and what encrypts them. */
export interface Pkcs8KeyStoreOptions {
  /** Made with mode 0700 when it is missing. */
  readonly directory: string;
  /** Random ones, not passwords: the key derivation is too cheap for one. */
  readonly masterKeys: MasterKeys;
}

/** What files of keys can do beyond what every backend can. */
type Pkcs8KeyStore = KeyStore &
  Required<Pick<KeyStore, 'secretKeys' | 'privateDecryption' | 'masterKeyRotation'>>;

/** Decrypted keys held in memory at most; deriving a key from the master key costs a millisecond. */
const CACHED_KEYS = 1000;

/**
 * One encrypted file a key, mode 0600: PKCS #8 (RFC 5958) in PEM, PBES2 with AES-256-CBC (RFC 8018 §6.2), for private keys; JWE for those without
 * a public half, see sealSecretKey. The first line says which master key it is under. Written whole and durable before `generate` resolves; nothing is ever on disk in the clear.
 */
export function pkcs8KeyStore(options: Pkcs8KeyStoreOptions): Pkcs8KeyStore {
  const { directory, masterKeys } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const pairs = openedKeys<KeyObject>((handle) => readPair(directory, handle, masterKeys));
  const rotation = keyFileRotation(directory, masterKeys);
  const secrets = openedKeys<SecretKey>((handle) => readSecret(directory, handle, masterKeys));

  async function generate(
    keyType: PairKeyType,
    { handle = randomHandle() }: NewKeyOptions = {},
  ): Promise<KeyHandle> {
    const { privateKey } = await generateKeyObject(keyType);
    await rotation.write(pkcs8File(directory, parseKeyHandle(handle)), (passphrase) =>
      encryptedPkcs8(privateKey, passphrase),
    );
    pairs.remember(handle, privateKey);
    return handle;
  }

  return {
    backend: 'pkcs8',
    type: 'pkcs8',
    generate,
    publicKey: async (handle) => subjectPublicKeyInfo(await pairs.load(handle)),
    sign: async (handle, data, { format }) => signWith(await pairs.load(handle), data, format),
    startSignature: async (handle, { format }) => startSignature(await pairs.load(handle), format),
    async remove(handle) {
      const files = [pkcs8File, secretFile].map((file) => file(directory, parseKeyHandle(handle)));
      for (const file of files) await rotation.remove(file);
      // Not before the files: who asks in between would open the key once more.
      for (const keys of [pairs, secrets]) keys.forget(handle);
      await syncFolder(directory);
    },
    async missing(handles) {
      const gone = await Promise.all(handles.map((handle) => hasNoFile(directory, handle)));
      return handles.filter((_, i) => gone[i]);
    },
    facts: async () => softwareFacts(`encrypted files in ${directory}`),
    async check() {
      await access(directory, constants.R_OK | constants.W_OK).catch((cause: unknown) => {
        throw unavailable(`Key directory ${directory} cannot be read and written.`, cause);
      });
    },
    masterKeyRotation: rotation,
    secretKeys: {
      async generate(keyType, { handle = randomHandle() } = {}) {
        const secret = generateSecretKey(keyType);
        await rotation.write(secretFile(directory, parseKeyHandle(handle)), (passphrase) =>
          sealSecretKey(secret, passphrase),
        );
        secrets.remember(handle, secret);
        return handle;
      },
      encrypt: async (handle, plaintext, data) =>
        encryptWith(await secrets.load(handle), plaintext, data),
      decrypt: async (handle, sealed, data) =>
        decryptWith(await secrets.load(handle), sealed, data),
      mac: async (handle, data) => macWith(await secrets.load(handle), data),
    },
    privateDecryption: {
      generate,
      decrypt: async (handle, ciphertext, label) =>
        decryptRsa(await pairs.load(handle), ciphertext, label),
    },
  };
}

/** Decrypted keys. @param read the key's file. Errors: KEY_NOT_FOUND, KEY_UNAVAILABLE */
function openedKeys<K extends object>(read: (handle: KeyHandle) => Promise<K>) {
  const cache = new LRUCache<KeyHandle, K>({ max: CACHED_KEYS });
  let lastOpened: Promise<unknown> = Promise.resolve();
  let forgotten = 0;

  return {
    remember(handle: KeyHandle, key: K): void {
      cache.set(handle, key);
    },
    forget(handle: KeyHandle): void {
      forgotten += 1;
      cache.delete(handle);
    },
    async load(handle: KeyHandle): Promise<K> {
      const known = cache.get(handle);
      if (known !== undefined) return known;
      parseKeyHandle(handle);
      // One in a turn of the loop: each holds it up for a millisecond, and after a start they are asked for all at once (fault T72).
      const opened = lastOpened.then(async () => cache.get(handle) ?? read(handle));
      lastOpened = Promise.allSettled([opened]).then(() => setImmediate());
      const before = forgotten;
      const key = await opened;
      // What was removed while it was opened does not come back; another that was opened meanwhile is opened once more.
      if (before === forgotten) cache.set(handle, key);
      return key;
    },
  };
}

async function readPair(
  directory: string,
  handle: KeyHandle,
  masterKeys: MasterKeys,
): Promise<KeyObject> {
  const file = await read(pkcs8File(directory, handle), handle);
  return openWrapped(masterKeys, file, openPkcs8).catch((cause: unknown) => {
    throw undecryptable(handle, cause);
  });
}

async function readSecret(
  directory: string,
  handle: KeyHandle,
  masterKeys: MasterKeys,
): Promise<SecretKey> {
  const file = await read(secretFile(directory, handle), handle);
  return openWrapped(masterKeys, file, openJwe).catch((cause: unknown) => {
    throw undecryptable(handle, cause);
  });
}

async function read(path: string, handle: KeyHandle): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new GigvaultError('KEY_NOT_FOUND', `No key '${handle}' in backend 'pkcs8'.`, { cause });
    }
    throw unavailable(`Key '${handle}' cannot be read.`, cause);
  }
}

/** Errors: INVALID_ARGUMENT; KEY_UNAVAILABLE for files that cannot be looked for. */
async function hasNoFile(directory: string, handle: KeyHandle): Promise<boolean> {
  const files = [pkcs8File, secretFile].map((file) => file(directory, parseKeyHandle(handle)));
  for (const file of files) {
    try {
      await access(file);
      return false;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw unavailable(`Key '${handle}' cannot be looked for.`, cause);
    }
  }
  return true;
}

function undecryptable(handle: KeyHandle, cause: unknown): GigvaultError {
  return unavailable(
    `Key '${handle}' cannot be decrypted with the master keys that are there.`,
    cause,
  );
}

function unavailable(message: string, cause: unknown): GigvaultError {
  return new GigvaultError('KEY_UNAVAILABLE', message, { cause });
}
