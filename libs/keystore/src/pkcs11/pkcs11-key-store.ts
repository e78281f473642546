import { randomBytes } from 'node:crypto';
import { processEnvironment } from '@gigvault/config/process-environment';
import { readLocalSecret, type SecretResolver } from '@gigvault/config/secret';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { type PublicKeyInfo, readPublicKey } from '@gigvault/x509/public-key';
import { LRUCache } from 'lru-cache';
import { algorithmOf } from '../key-algorithm.ts';
import {
  type KeyHandle,
  type KeyStore,
  type NewKeyOptions,
  parseKeyHandle,
  randomHandle,
  type SecretKeys,
} from '../key-store.ts';
import type { PairKeyType } from '../key-types.ts';
import { decryptionFailed, GCM_IV_OCTETS, GCM_TAG_OCTETS, secretOctets } from '../secret-key.ts';
import type { DriverCall, OpenedToken, OpenToken } from './driver-messages.ts';
import type { Pkcs11Uri } from './pkcs11-uri.ts';
import { unavailable } from './return-value.ts';
import { SupervisedDriver } from './supervised-driver.ts';
import { signWithToken, startTokenSignature, type TokenSigner } from './token-signer.ts';
import { vendorEnvironment } from './vendors/choose-vendor.ts';

/** Which token, and how patient to be. */
export interface Pkcs11Options {
  /** Its name in the configuration, which errors then say. Default: `pkcs11`, and they do not. */
  readonly backend?: string;
  /** The token must be there and initialised: see `parsePkcs11Uri`. */
  readonly uri: Pkcs11Uri;
  /** Instead of the one in the URI's file, which is not read then. */
  readonly pin?: string;
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
  /** Gives the PIN, at each start of the driver. Default: from a file or a variable of this machine. */
  readonly secrets?: SecretResolver;
  /** Hears when the token is lost and when it is back, for the log. */
  readonly report?: (event: 'opened' | 'lost', message: string) => void;
}

/** A token as it tells of itself. */
export type TokenFacts = Pick<OpenedToken, 'description' | 'serialNumber' | 'pinLength'>;

/** A key store that holds a process. */
export interface Pkcs11KeyStore extends KeyStore {
  /**
   * As KeyStore's own. Asked twice with the same `handle`, it is the same pair.
   * Errors: INVALID_ARGUMENT also for a handle of another form.
   */
  generate(keyType: PairKeyType, options?: NewKeyOptions): Promise<KeyHandle>;
  readonly secretKeys: SecretKeys;
  /** The token that it is in. Errors: KEY_UNAVAILABLE. */
  token(): Promise<TokenFacts>;
  /** The process that holds the library, while there is one. */
  driverPid(): number | undefined;
  /**
   * Changes the user's PIN (C_SetPIN). Afterwards this store is of no use any more: open one with the new PIN. Errors: KEY_UNAVAILABLE, also for a PIN
   * that the token does not take.
   */
  changePin(newPin: string): Promise<void>;
  /** Logs out and ends it; calls in flight are KEY_UNAVAILABLE. */
  close(): Promise<void>;
}

type Driver = Pick<SupervisedDriver, 'call'>;

/** Public keys held in memory at most. */
const CACHED_KEYS = 1_000;

/**
 * Keys in a PKCS #11 token, which they never leave: made there, sensitive, not extractable, of no use but to sign. Digests are made here; the
 * token signs them in a process of its own (docs/adr/0019). A handle is the UUID whose octets are the key's CKA_ID.
 */
export function pkcs11KeyStore(options: Pkcs11Options): Pkcs11KeyStore {
  const report = options.report ?? (() => undefined);
  const supervised = new SupervisedDriver({
    open: () => openToken(options),
    environment: {
      // A session that signs holds one of libuv's threads, of which there are four unless somebody says so.
      UV_THREADPOOL_SIZE: String(Math.max(options.sessions ?? 0, 4)),
      ...vendorEnvironment(processEnvironment),
      ...options.environment,
    },
    clock: options.clock ?? systemClock,
    deadline: options.deadline ?? 5_000,
    queue: options.queue ?? 4_096,
    report(event, message) {
      // It may be another token.
      if (event === 'opened') publicKeys.forgetAll();
      report(event, message);
    },
  });
  const driver = namedDriver(supervised, options.backend);
  const signer: TokenSigner = { driver, verify: options.verify ?? true };
  const publicKeys = publicKeysOf(driver);
  const { find, forget } = publicKeys;

  async function opened(): Promise<OpenedToken> {
    await driver.call({ method: 'check' });
    return supervised.opened as OpenedToken;
  }

  return {
    backend: options.backend ?? 'pkcs11',
    type: 'pkcs11',
    async generate(keyType, { label, handle = randomHandle() } = {}) {
      algorithmOf(keyType);
      requireUuid(handle);
      await driver.call({ method: 'generate', handle, keyType, label: label ?? handle });
      return handle;
    },
    publicKey: async (handle) => (await find(handle)).spki,
    sign: async (handle, data, { format }) =>
      signWithToken(signer, { handle, key: await find(handle), format }, data),
    startSignature: async (handle, { format }) =>
      startTokenSignature(signer, { handle, key: await find(handle), format }),
    secretKeys: tokenSecretKeys(driver),
    async remove(handle) {
      forget(parseKeyHandle(handle));
      if (isUuid(handle)) await driver.call({ method: 'remove', handle });
    },
    missing: (handles) => missingIn(driver, handles),
    async facts() {
      const { description, keyTypes, hardware } = await opened();
      return { fips: undefined, description, keyTypes, hardware };
    },
    async check() {
      await driver.call({ method: 'check' });
    },
    async token() {
      const { description, serialNumber, pinLength } = await opened();
      return { description, serialNumber, pinLength };
    },
    driverPid: () => supervised.pid,
    async changePin(newPin) {
      await driver.call({ method: 'changePin', newPin });
    },
    close: () => supervised.close(),
  };
}

/** Public keys in the token, of which those that were used last are held in memory. Errors: KEY_NOT_FOUND, KEY_UNAVAILABLE. */
function publicKeysOf(driver: Driver) {
  const keys = new LRUCache<KeyHandle, PublicKeyInfo>({ max: CACHED_KEYS });
  return {
    forget: (handle: KeyHandle) => keys.delete(handle),
    forgetAll: () => keys.clear(),
    async find(handle: KeyHandle): Promise<PublicKeyInfo> {
      const known = keys.get(handle);
      if (known !== undefined) return known;
      if (!isUuid(parseKeyHandle(handle))) throw notFound(handle);
      const spki = await driver.call({ method: 'publicKey', handle });
      const key = checkedKey(handle, spki as Uint8Array);
      keys.set(handle, key);
      return key;
    },
  };
}

/** A handle of another form was never one of a key in a token. */
async function missingIn(driver: Driver, handles: readonly KeyHandle[]): Promise<KeyHandle[]> {
  const asked = handles.filter((handle) => isUuid(parseKeyHandle(handle)));
  const octets = (await driver.call({ method: 'missing', handles: asked })) as Uint8Array;
  const there = new Set(asked.filter((_, i) => octets[i] === 0));
  return handles.filter((handle) => !there.has(handle));
}

/** The same, whose errors say which backend it is, and where to look: all but those of a check, which is what is looked at. */
function namedDriver(driver: SupervisedDriver, backend: string | undefined): Driver {
  if (backend === undefined) return driver;
  return {
    call: (call) =>
      driver.call(call).catch((error: unknown) => {
        const look = call.method === 'check' ? '' : ` Look at: gigvault backends info ${backend}`;
        throw inBackend(asGigvaultError(error), backend, look);
      }),
  };
}

/** The error of a token, with its backend's name. What is about a key or its use stays as it is. */
function inBackend(error: GigvaultError, backend: string, look: string): GigvaultError {
  const { code, message, retryAfter } = error;
  if (code !== 'KEY_UNAVAILABLE' && code !== 'OPERATION_NOT_SUPPORTED') return error;
  return new GigvaultError(code, `Backend '${backend}': ${message}${look}`, {
    details: { ...error.details, backend },
    ...(retryAfter === undefined ? {} : { retryAfter }),
    cause: error,
  });
}

const LOCAL_SECRETS: SecretResolver = {
  resolve: async (reference) => readLocalSecret(reference, processEnvironment),
};

/** Keys without a public half, in the token. The initialization vector is made here: a call that is made once more has the same one for the same data. */
function tokenSecretKeys(driver: Driver): SecretKeys {
  const known = (handle: KeyHandle): KeyHandle => {
    if (!isUuid(parseKeyHandle(handle))) throw notFound(handle);
    return handle;
  };
  const octets = async (call: DriverCall) => Buffer.from((await driver.call(call)) as Uint8Array);
  return {
    async generate(keyType, { label, handle = randomHandle() } = {}) {
      secretOctets(keyType);
      requireUuid(handle);
      await driver.call({ method: 'generateSecret', handle, keyType, label: label ?? handle });
      return handle;
    },
    async encrypt(handle, data, additionalData) {
      const iv = randomBytes(GCM_IV_OCTETS);
      const call = { method: 'encrypt', handle: known(handle), iv, data, additionalData } as const;
      return Buffer.concat([iv, await octets(call)]);
    },
    async decrypt(handle, sealed, additionalData) {
      if (sealed.length < GCM_IV_OCTETS + GCM_TAG_OCTETS) throw decryptionFailed();
      const iv = sealed.subarray(0, GCM_IV_OCTETS);
      const data = sealed.subarray(GCM_IV_OCTETS);
      return octets({ method: 'decrypt', handle: known(handle), iv, data, additionalData });
    },
    mac: (handle, data) => octets({ method: 'mac', handle: known(handle), data }),
  };
}

/** Errors: INVALID_ARGUMENT. */
function requireUuid(handle: KeyHandle): void {
  if (isUuid(handle)) return;
  throw new GigvaultError('INVALID_ARGUMENT', 'A key in a token is known by a UUID.');
}

/** The PIN is read anew at each start, and held nowhere in this process. Errors: those of the resolver. */
async function openToken(options: Pkcs11Options): Promise<OpenToken> {
  const { uri, secrets = LOCAL_SECRETS, sessions } = options;
  const { modulePath, token, pinSource } = uri;
  const pin = options.pin ?? (await secrets.resolve(pinSource));
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
