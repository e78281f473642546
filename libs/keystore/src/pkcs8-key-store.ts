import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { access, constants, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { syncFolder, writeFileDurably } from '@gigvault/files/durable-file';
import {
  generateKeyObject,
  signWith,
  softwareFacts,
  subjectPublicKeyInfo,
} from './key-algorithm.ts';
import { type KeyHandle, type KeyStore, parseKeyHandle } from './key-store.ts';
import { OWNER_ONLY } from './secret-file.ts';
import { startSignature } from './streamed-signature.ts';

/** Where the files are and what encrypts them. */
export interface Pkcs8KeyStoreOptions {
  /** Made with mode 0700 when it is missing. */
  readonly directory: string;
  /** Base64 of a random 256-bit key, see `readMasterKey`. Not a password: the key derivation is too cheap for one. */
  readonly masterKey: string;
}

/** Decrypted keys held in memory at most; deriving a key from the master key costs a millisecond. */
const CACHED_KEYS = 1000;

/**
 * One encrypted PKCS #8 file (RFC 5958) a key, PEM, mode 0600: PBES2 with AES-256-CBC (RFC 8018 §6.2).
 * Written whole and durable before `generate` resolves; nothing is ever on disk in the clear.
 */
export function pkcs8KeyStore(options: Pkcs8KeyStoreOptions): KeyStore {
  const { directory, masterKey } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const cache = new Map<KeyHandle, KeyObject>();

  let lastOpened: Promise<unknown> = Promise.resolve();

  const pathOf = (handle: KeyHandle) => pkcs8File(directory, parseKeyHandle(handle));

  function remember(handle: KeyHandle, key: KeyObject): void {
    const oldest = cache.keys().next();
    if (cache.size >= CACHED_KEYS && !oldest.done) cache.delete(oldest.value);
    cache.set(handle, key);
  }

  async function load(handle: KeyHandle): Promise<KeyObject> {
    const known = cache.get(handle);
    if (known !== undefined) return known;
    // One in a turn of the loop: each holds it up for a millisecond, and after a start they are asked for all at once (fault T72).
    const opened = lastOpened.then(async () => {
      const pem = await read(pathOf(handle), handle);
      return cache.get(handle) ?? decrypt(handle, pem, masterKey);
    });
    lastOpened = Promise.allSettled([opened]).then(() => setImmediate());
    const key = await opened;
    remember(handle, key);
    return key;
  }

  return {
    backend: 'pkcs8',
    async generate(keyType) {
      const { privateKey } = await generateKeyObject(keyType);
      const handle = parseKeyHandle(randomUUID());
      await writeFileDurably(pathOf(handle), encryptedPkcs8(privateKey, masterKey), OWNER_ONLY);
      remember(handle, privateKey);
      return handle;
    },
    publicKey: async (handle) => subjectPublicKeyInfo(await load(handle)),
    sign: async (handle, data, { format }) => signWith(await load(handle), data, format),
    startSignature: async (handle, { format }) => startSignature(await load(handle), format),
    async remove(handle) {
      const path = pathOf(handle);
      cache.delete(handle);
      await rm(path, { force: true });
      await syncFolder(directory);
    },
    facts: async () => softwareFacts('pkcs8', `encrypted files in ${directory}`),
    async check() {
      await access(directory, constants.R_OK | constants.W_OK).catch((cause: unknown) => {
        throw unavailable(`Key directory ${directory} cannot be read and written.`, cause);
      });
    },
  };
}

/** The file of a key. */
export function pkcs8File(directory: string, handle: string): string {
  return join(directory, `${handle}.p8`);
}

/** `ENCRYPTED PRIVATE KEY` in PEM: PBES2, PBKDF2 with HMAC-SHA-256, AES-256-CBC. The passphrase must hold 128 random bits or more. */
export function encryptedPkcs8(privateKey: KeyObject, passphrase: string): string {
  return privateKey
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
    .toString();
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

function decrypt(handle: KeyHandle, pem: Buffer, passphrase: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch (cause) {
    throw unavailable(`Key '${handle}' cannot be decrypted with this master key.`, cause);
  }
}

function unavailable(message: string, cause: unknown): GigvaultError {
  return new GigvaultError('KEY_UNAVAILABLE', message, { cause });
}
