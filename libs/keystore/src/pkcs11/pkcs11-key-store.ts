import { createHash, createVerify, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { processEnvironment } from '@gigvault/config/process-environment';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { type PublicKeyInfo, readPublicKey } from '@gigvault/x509/public-key';
import { algorithmOf, encodingOf, verifyWith } from '../key-algorithm.ts';
import {
  type KeyHandle,
  type KeyStore,
  parseKeyHandle,
  type SignatureFormat,
} from '../key-store.ts';
import { requireOwnerOnly } from '../secret-file.ts';
import { type OpenSignature, wholeSignature } from '../streamed-signature.ts';
import type { OpenToken } from './driver-messages.ts';
import type { Pkcs11Uri } from './pkcs11-uri.ts';
import { unavailable } from './return-value.ts';
import { supervisedDriver } from './supervised-driver.ts';
import { digestInput, formatted, tokenInput } from './token-signature.ts';
import { vendorEnvironment } from './vendors/choose-vendor.ts';

/** Which token, and how patient to be. */
export interface Pkcs11Options {
  /** The token must be there and initialised: see `parsePkcs11Uri`. */
  readonly uri: Pkcs11Uri;
  /** Operations that the token does at once; default: as many as are of use with this vendor's library. */
  readonly sessions?: number;
  /** Milliseconds that a call may take, all retries included; making a key may take twelve times as long. Default 5,000. */
  readonly deadline?: number;
  /** Calls that may wait; further ones are KEY_UNAVAILABLE. Default 4,096. */
  readonly queue?: number;
  /** Check each signature before it is given out (T13). Default true; false is for whoever checks every one elsewhere. */
  readonly verify?: boolean;
  /** Variables that the library reads, beyond those that `vendors/` names. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  /** Hears when the token is lost and when it is back, for the log. */
  readonly report?: (event: 'opened' | 'lost', message: string) => void;
}

/** A key store that holds a process. */
export interface Pkcs11KeyStore extends KeyStore {
  /** The process that holds the library, while there is one. */
  driverPid(): number | undefined;
  /** Logs out and ends it; calls in flight are KEY_UNAVAILABLE. */
  close(): Promise<void>;
}

/** Public keys held in memory at most. */
const CACHED_KEYS = 1_000;

/**
 * Keys in a PKCS #11 token, which they never leave: made there, sensitive, not extractable, of no use but to sign. Digests are made here; the
 * token signs them in a process of its own (docs/adr/0019). A handle is the UUID whose octets are the key's CKA_ID.
 */
export function pkcs11KeyStore(options: Pkcs11Options): Pkcs11KeyStore {
  const { uri, verify = true } = options;
  const driver = supervisedDriver({
    open: () => openToken(uri, options.sessions),
    environment: {
      // A session that signs holds one of libuv's threads, of which there are four unless somebody says so.
      UV_THREADPOOL_SIZE: String(Math.max(options.sessions ?? 0, 4)),
      ...vendorEnvironment(processEnvironment),
      ...options.environment,
    },
    clock: options.clock ?? systemClock,
    deadline: options.deadline ?? 5_000,
    queue: options.queue ?? 4_096,
    report: options.report ?? (() => undefined),
  });
  const keys = new Map<KeyHandle, PublicKeyInfo>();

  async function find(handle: KeyHandle): Promise<PublicKeyInfo> {
    const known = keys.get(handle);
    if (known !== undefined) return known;
    if (!isUuid(parseKeyHandle(handle))) throw notFound(handle);
    const spki = await driver.call({ method: 'publicKey', handle });
    const key = checkedKey(handle, spki as Uint8Array);
    const oldest = keys.keys().next();
    if (keys.size >= CACHED_KEYS && !oldest.done) keys.delete(oldest.value);
    keys.set(handle, key);
    return key;
  }

  async function tokenSignature(
    handle: KeyHandle,
    { keyType }: PublicKeyInfo,
    data: Buffer,
    format: SignatureFormat,
  ): Promise<Buffer> {
    const raw = await driver.call({ method: 'sign', handle, keyType, data });
    return formatted(keyType, raw as Uint8Array, format);
  }

  async function sign(handle: KeyHandle, data: Buffer, format: SignatureFormat): Promise<Buffer> {
    const key = await find(handle);
    const input = tokenInput(key.keyType, data);
    const signature = await tokenSignature(handle, key, input, format);
    if (!verify || (await verifyWith(key.keyObject, data, signature, format))) return signature;
    throw wrongSignature(handle);
  }

  /** The token gets the digest of a list that nobody holds as a whole; the check runs along. */
  async function startSignature(
    handle: KeyHandle,
    format: SignatureFormat,
  ): Promise<OpenSignature> {
    const key = await find(handle);
    const name = algorithmOf(key.keyType).hash;
    if (name === null) return wholeSignature((data) => sign(handle, data, format));
    const digest = createHash(name);
    const verifying = verify ? createVerify(name) : undefined;
    return {
      update(part) {
        digest.update(part);
        verifying?.update(part);
      },
      async sign() {
        const input = digestInput(key.keyType, digest.digest());
        const signature = await tokenSignature(handle, key, input, format);
        const publicKey = { key: key.keyObject, dsaEncoding: encodingOf(format) };
        if (verifying?.verify(publicKey, signature) === false) throw wrongSignature(handle);
        return signature;
      },
    };
  }

  return {
    backend: 'pkcs11',
    async generate(keyType, { label } = {}) {
      algorithmOf(keyType);
      const handle = parseKeyHandle(randomUUID());
      await driver.call({ method: 'generate', handle, keyType, label: label ?? handle });
      return handle;
    },
    publicKey: async (handle) => (await find(handle)).spki,
    sign: (handle, data, { format }) => sign(handle, data, format),
    startSignature: (handle, { format }) => startSignature(handle, format),
    async remove(handle) {
      keys.delete(parseKeyHandle(handle));
      if (isUuid(handle)) await driver.call({ method: 'remove', handle });
    },
    async check() {
      await driver.call({ method: 'check' });
    },
    driverPid: driver.pid,
    close: driver.close,
  };
}

/** The PIN is read anew at each start, and held nowhere in this process. Errors: KEY_UNAVAILABLE. */
function openToken({ modulePath, token, pinFile }: Pkcs11Uri, sessions?: number): OpenToken {
  requireOwnerOnly(pinFile);
  const pin = readFileSync(pinFile, 'utf8').replace(/\r?\n$/, '');
  if (pin === '') throw unavailable(`${pinFile} is empty.`);
  return { modulePath, token, pin, sessions };
}

/** A key that somebody else put there may be weak. Errors: KEY_UNAVAILABLE. */
function checkedKey(handle: KeyHandle, spki: Uint8Array): PublicKeyInfo {
  try {
    return readPublicKey(spki);
  } catch (cause) {
    throw unavailable(
      `Key '${handle}' in the token is refused: ${(cause as Error).message}`,
      cause,
    );
  }
}

function notFound(handle: KeyHandle): GigvaultError {
  return new GigvaultError('KEY_NOT_FOUND', `No key '${handle}' in backend 'pkcs11'.`);
}

function wrongSignature(handle: KeyHandle): GigvaultError {
  return unavailable(`The token gave a wrong signature with key '${handle}'.`);
}
