import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { BackendType, KeyHandle, KeyStore } from '@gigvault/keystore/key-store';
import type { Clock } from '@gigvault/time/clock';
import { sharedLook } from '@gigvault/time/shared-look';
import { keyLost } from '../backends/backends.ts';

/** A key by which a backend is recognised. */
export interface TellingKey {
  readonly keyId: string;
  readonly handle: KeyHandle;
  /** Services sign with it. */
  readonly ofService: boolean;
}

/**
 * Whether a backend is the one that it was, told by the keys that it holds: another token may have the same label and PIN, and a vendor's copy of the right one has another
 * serial number. With keys of services it must hold each of them; with keys of people alone, of which one may have been removed by the vendor's tool, any (docs/adr/0029).
 */
export interface BackendIdentity {
  /** Remembered for a moment; the database may be away. Errors: KEY_UNAVAILABLE. */
  look(): Promise<void>;
  /** As it is now, before something is made or removed there. Errors: KEY_UNAVAILABLE, those of reading the table. */
  require(): Promise<void>;
  /** What to say of a key that was not found there: KEY_LOST when it is the right backend, KEY_UNAVAILABLE otherwise. */
  whyNotFound(handle: KeyHandle, cause: unknown): Promise<unknown>;
}

/** Milliseconds for which a look is remembered: each question to a KMS costs money. */
const LOOKED_FOR = { token: 1_000, kms: 60_000 };

/** Of people's keys so many tell enough. */
const OF_PEOPLE = 5;

/** See BackendIdentity. @param read the keys that must be there, those of services first; asked at once */
export async function backendIdentity(
  store: KeyStore,
  read: () => Promise<readonly TellingKey[]>,
  clock: Pick<Clock, 'elapsed'>,
): Promise<BackendIdentity> {
  let keys = telling(await read());
  const refresh = sharedLook(
    async () => {
      keys = telling(await read());
    },
    0,
    clock,
  );
  // That the database is away is told by another check, and does not make a token a wrong one; nor may one that hangs hold up a look.
  const look = async () => {
    refresh().catch(() => undefined);
    await requireKeys(store, keys);
  };
  const remembered = store.type === 'aws-kms' ? LOOKED_FOR.kms : LOOKED_FOR.token;
  const sharedly = sharedLook(look, remembered, clock);
  return {
    look: sharedly,
    async require() {
      await refresh();
      await requireKeys(store, keys);
    },
    async whyNotFound(handle, cause) {
      try {
        // With another token nothing is found, and nobody needs to look for each key.
        await sharedly();
        await refresh().catch(() => undefined);
        const missing = await requireKeys(store, keys, handle);
        return missing.includes(handle) ? keyLost(store.backend, cause) : wasAway(store, cause);
      } catch (error) {
        return error;
      }
    },
  };
}

function telling(keys: readonly TellingKey[]): readonly TellingKey[] {
  const ofServices = keys.filter(({ ofService }) => ofService);
  return ofServices.length > 0 ? ofServices : keys.slice(0, OF_PEOPLE);
}

/** Of these keys and `asked` those that are missing. Errors: KEY_UNAVAILABLE for a backend that is not the right one. */
async function requireKeys(
  store: KeyStore,
  keys: readonly TellingKey[],
  ...asked: readonly KeyHandle[]
): Promise<readonly KeyHandle[]> {
  const missing = await store.missing([...keys.map(({ handle }) => handle), ...asked]);
  const lacking = keys.filter(({ handle }) => missing.includes(handle));
  const isRight = keys.some(({ ofService }) => ofService)
    ? lacking.length === 0
    : keys.length === 0 || lacking.length < keys.length;
  if (isRight) return missing;
  throw await otherBackend(store, lacking, keys.length);
}

async function otherBackend(
  store: KeyStore,
  lacking: readonly TellingKey[],
  of: number,
): Promise<GigvaultError> {
  const { backend, type } = store;
  const { description } = await store.facts();
  const [first, second] = lacking.map(({ keyId }) => `'${keyId}'`);
  const others = second === undefined ? '' : ` and ${lacking.length - 1} more`;
  const lacks =
    lacking.length === of
      ? `holds none of the keys that were made there, as that of ${first}${others}`
      : `lacks the key of ${first}${others}`;
  const { why, remedy } = ADVICE[type === 'aws-kms' ? 'kms' : 'token'];
  return new GigvaultError(
    'KEY_UNAVAILABLE',
    `Backend '${backend}': ${description} ${lacks}: ${why}. ${remedy} Until then no key is made there.`,
    { details: { backend } },
  );
}

const ADVICE: Readonly<Record<'token' | 'kms', { readonly why: string; readonly remedy: string }>> =
  {
    token: {
      why: 'it is another token, an old copy, or was initialised again',
      remedy: 'Put the right token back, or restore it from its backup; no restart is needed.',
    },
    kms: {
      why: 'these are credentials of another account, it is another region, or the keys were deleted',
      remedy: 'Correct the configuration, or cancel the deletion in AWS KMS.',
    },
  };

/** The right token was put back in between. */
function wasAway({ backend }: KeyStore, cause: unknown): GigvaultError {
  const message = `Backend '${backend}' did not find a key that is there now. Try again.`;
  return new GigvaultError('KEY_UNAVAILABLE', message, { cause, details: { backend } });
}

/** A backend of this type may be changed for another one under its name: it is outside of this machine's files and memory. */
export function isElsewhere(type: BackendType): boolean {
  return type === 'pkcs11' || type === 'tpm2' || type === 'aws-kms';
}
