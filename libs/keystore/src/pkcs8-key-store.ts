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
import type { PairKeyType } from './key-types.ts';
import { decryptRsa } from './rsa-encryption.ts';
import { openSecretKey, sealSecretKey } from './sealed-secret.ts';
import { OWNER_ONLY } from './secret-file.ts';
import {
  decryptWith,
  encryptWith,
  generateSecretKey,
  macWith,
  type SecretKey,
} from './secret-key.ts';
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
 * One encrypted file a key, mode 0600: PKCS #8 (RFC 5958) in PEM, PBES2 with AES-256-CBC (RFC 8018 §6.2), for private keys; JWE for those without
 * a public half, see sealSecretKey. Written whole and durable before `generate` resolves; nothing is ever on disk in the clear.
 */
export function pkcs8KeyStore(
  options: Pkcs8KeyStoreOptions,
): KeyStore & Required<Pick<KeyStore, 'secretKeys' | 'privateDecryption'>> {
  const { directory, masterKey } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const pairs = openedKeys<KeyObject>((handle) => readPair(directory, handle, masterKey));
  const secrets = openedKeys<SecretKey>((handle) => readSecret(directory, handle, masterKey));

  async function generate(keyType: PairKeyType): Promise<KeyHandle> {
    const { privateKey } = await generateKeyObject(keyType);
    const handle = parseKeyHandle(randomUUID());
    const pem = encryptedPkcs8(privateKey, masterKey);
    await writeFileDurably(pkcs8File(directory, handle), pem, OWNER_ONLY);
    pairs.remember(handle, privateKey);
    return handle;
  }

  return {
    backend: 'pkcs8',
    generate: (keyType) => generate(keyType),
    publicKey: async (handle) => subjectPublicKeyInfo(await pairs.load(handle)),
    sign: async (handle, data, { format }) => signWith(await pairs.load(handle), data, format),
    startSignature: async (handle, { format }) => startSignature(await pairs.load(handle), format),
    async remove(handle) {
      const files = [pkcs8File, secretFile].map((file) => file(directory, parseKeyHandle(handle)));
      for (const keys of [pairs, secrets]) keys.forget(handle);
      for (const file of files) await rm(file, { force: true });
      await syncFolder(directory);
    },
    facts: async () => softwareFacts('pkcs8', `encrypted files in ${directory}`),
    async check() {
      await access(directory, constants.R_OK | constants.W_OK).catch((cause: unknown) => {
        throw unavailable(`Key directory ${directory} cannot be read and written.`, cause);
      });
    },
    secretKeys: {
      async generate(keyType) {
        const secret = generateSecretKey(keyType);
        const handle = parseKeyHandle(randomUUID());
        const jwe = await sealSecretKey(secret, masterKey);
        await writeFileDurably(secretFile(directory, handle), `${jwe}\n`, OWNER_ONLY);
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
      generate: (keyType) => generate(keyType),
      decrypt: async (handle, ciphertext, label) =>
        decryptRsa(await pairs.load(handle), ciphertext, label),
    },
  };
}

/** Decrypted keys. @param read the key's file. Errors: KEY_NOT_FOUND, KEY_UNAVAILABLE */
function openedKeys<K>(read: (handle: KeyHandle) => Promise<K>) {
  const cache = new Map<KeyHandle, K>();
  let lastOpened: Promise<unknown> = Promise.resolve();

  function remember(handle: KeyHandle, key: K): void {
    const oldest = cache.keys().next();
    if (cache.size >= CACHED_KEYS && !oldest.done) cache.delete(oldest.value);
    cache.set(handle, key);
  }

  return {
    remember,
    forget: (handle: KeyHandle) => cache.delete(handle),
    async load(handle: KeyHandle): Promise<K> {
      const known = cache.get(handle);
      if (known !== undefined) return known;
      parseKeyHandle(handle);
      // One in a turn of the loop: each holds it up for a millisecond, and after a start they are asked for all at once (fault T72).
      const opened = lastOpened.then(async () => cache.get(handle) ?? read(handle));
      lastOpened = Promise.allSettled([opened]).then(() => setImmediate());
      const key = await opened;
      remember(handle, key);
      return key;
    },
  };
}

async function readPair(
  directory: string,
  handle: KeyHandle,
  passphrase: string,
): Promise<KeyObject> {
  const pem = await read(pkcs8File(directory, handle), handle);
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch (cause) {
    throw undecryptable(handle, cause);
  }
}

async function readSecret(
  directory: string,
  handle: KeyHandle,
  passphrase: string,
): Promise<SecretKey> {
  const jwe = await read(secretFile(directory, handle), handle);
  return openSecretKey(jwe.toString(), passphrase).catch((cause: unknown) => {
    throw undecryptable(handle, cause);
  });
}

/** The file of a private key. */
export function pkcs8File(directory: string, handle: string): string {
  return join(directory, `${handle}.p8`);
}

/** The file of a key without a public half. */
export function secretFile(directory: string, handle: string): string {
  return join(directory, `${handle}.jwe`);
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

function undecryptable(handle: KeyHandle, cause: unknown): GigvaultError {
  return unavailable(`Key '${handle}' cannot be decrypted with this master key.`, cause);
}

function unavailable(message: string, cause: unknown): GigvaultError {
  return new GigvaultError('KEY_UNAVAILABLE', message, { cause });
}
