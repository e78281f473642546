import { GigvaultError } from '@gigvault/errors/gigvault-error';
import graphene, { type Module } from 'graphene-pk11';
import { LRUCache } from 'lru-cache';
import type { AnyKeyType } from '../key-types.ts';
import type { DriverCall, OpenedToken, OpenToken } from './driver-messages.ts';
import { describeToken, type FoundToken, findToken } from './find-token.ts';
import { supportedKeyTypes } from './mechanisms.ts';
import { unavailable } from './return-value.ts';
import { cipher, generateSecret, mac } from './secret-objects.ts';
import { findObjects, openSessions, type Sessions } from './sessions.ts';
import {
  generate,
  missing,
  type ObjectHandles,
  publicKey,
  REMEMBERED_KEYS,
  removeKey,
  sign,
} from './token-keys.ts';
import { vendorOf } from './vendors/choose-vendor.ts';

/** CKF_OS_LOCKING_OK: without it the library believes that one thread calls it, and signing in several sessions corrupts its memory. */
const OS_LOCKING_OK = 2;

/** CKF_HW_SLOT. */
const HW_SLOT = 4;

/** A token that somebody is logged in to. */
export interface OpenedSessions {
  readonly opened: OpenedToken;
  /** Errors: KEY_NOT_FOUND, those of the library. */
  run(call: DriverCall): Promise<Buffer | undefined>;
  /** Logs out and lets the library go. */
  close(): void;
}

/** Finds the token and logs in. Errors: KEY_UNAVAILABLE (token), those of the library (PIN). */
export function openToken(
  module: Module,
  { token: query, pin, sessions }: OpenToken,
): OpenedSessions {
  module.initialize({ flags: OS_LOCKING_OK });
  const found = findToken(module, query);
  const { slot, token } = found;
  const vendor = vendorOf(token.manufacturerID, module.manufacturerID);
  const handles: ObjectHandles = new LRUCache({ max: REMEMBERED_KEYS });
  const pool = openSessions({
    slot,
    pin,
    count: sessions ?? vendor.sessions,
    onRenewed: () => handles.clear(),
  });
  const keyTypes = supportedKeyTypes(slot, vendor.broken);

  function requireSupported(keyType: AnyKeyType): void {
    if (keyTypes.includes(keyType)) return;
    const makes = keyTypes.join(', ') || 'none that GigVault knows';
    throw new GigvaultError(
      'OPERATION_NOT_SUPPORTED',
      `${describeToken(token)} makes no keys of type ${keyType}. It makes ${makes}.`,
    );
  }

  return {
    opened: {
      description: describeToken(token),
      keyTypes,
      hardware: (slot.flags & HW_SLOT) !== 0,
      serialNumber: token.serialNumber.trim(),
      pinLength: { min: token.minPinLen, max: token.maxPinLen },
    },
    async run(call) {
      switch (call.method) {
        case 'sign':
          return pool.use((session) => sign(session, vendor, handles, call));
        case 'publicKey':
          return pool.use((session) => publicKey(session, call.handle));
        case 'generate':
          requireSupported(call.keyType);
          return pool.use((session) => generate(session, vendor, call)).then(() => undefined);
        case 'generateSecret':
          requireSupported(call.keyType);
          return pool.use((session) => generateSecret(session, call)).then(() => undefined);
        case 'encrypt':
        case 'decrypt':
          return pool.use((session) => cipher(session, vendor, handles, call));
        case 'mac':
          return pool.use((session) => mac(session, handles, call));
        case 'missing':
          return pool.use((session) => missing(session, call));
        case 'remove':
          handles.delete(call.handle);
          return pool.use((session) => removeKey(session, call.handle)).then(() => undefined);
        case 'changePin':
          return pool.use((session) => session.setPin(pin, call.newPin)).then(() => undefined);
        case 'check':
          return check(pool, found).then(() => undefined);
      }
    },
    close: () => module.finalize(),
  };
}

/** Loads a library. Errors: KEY_UNAVAILABLE. */
export function loadModule(path: string): Module {
  try {
    return graphene.Module.load(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw unavailable(`Cannot load ${path}: ${why}`, cause);
  }
}

/** The same token is still there, a session of ours is logged in and reads it, and the device answers: of its objects a library may tell by heart. */
async function check(pool: Sessions, { slot, token }: FoundToken): Promise<void> {
  await pool.use((session) => {
    const { serialNumber } = slot.getToken();
    if (serialNumber !== token.serialNumber) {
      throw unavailable(`${describeToken(token)} is not there any more.`);
    }
    findObjects(session, { class: graphene.ObjectClass.PRIVATE_KEY, label: '' });
    if ((token.flags & graphene.TokenFlag.RNG) !== 0) session.generateRandom(1);
  });
}
