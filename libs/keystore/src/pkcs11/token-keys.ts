import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyType } from '@gigvault/x509/public-key';
import graphene, { type ITemplate, type Session, type SessionObject } from 'graphene-pk11';
import type { LRUCache } from 'lru-cache';
import type { DriverCall } from './driver-messages.ts';
import { KEY_MECHANISMS } from './mechanisms.ts';
import { subjectPublicKeyInfoOf } from './public-key-object.ts';
import { unavailable } from './return-value.ts';
import { findObjects } from './sessions.ts';
import type { Vendor } from './vendors/vendor.ts';

/** The largest signature: RSA of 4096 bits. */
const SIGNATURE_OCTETS = 512;
const PUBLIC_EXPONENT = Buffer.of(1, 0, 1);

/** Handles of private key objects by ours: looking one up costs as much as signing. */
export type ObjectHandles = LRUCache<string, Buffer>;

/** Keys of which the driver remembers where they are in the token, at most. */
export const REMEMBERED_KEYS = 10_000;

/** A call of this method. */
export type Call<Method extends DriverCall['method']> = DriverCall & { readonly method: Method };

/**
 * Makes a key pair in the token: it stays there, never leaves it, and does nothing but sign. May have been asked before, with nobody knowing what
 * came of it: then the pair that is there is the answer. The token makes keys of this type: who asks has seen to it. Errors: KEY_UNAVAILABLE for a key that can leave
 * the token, or was brought into it; those of the library.
 */
export async function generate(
  session: Session,
  vendor: Vendor,
  { handle, keyType, label }: Call<'generate'>,
): Promise<void> {
  const id = objectId(handle);
  const { PRIVATE_KEY } = graphene.ObjectClass;
  if (isWhole(session, id)) return requireConfined(findObject(session, handle, PRIVATE_KEY));
  // One half may be left of an attempt that died.
  removeKey(session, handle);
  const { generate: mechanism, parameters, bits } = KEY_MECHANISMS[keyType as KeyType];
  const named = { token: true, id, label };
  const kind: ITemplate =
    parameters === undefined
      ? { modulusBits: bits, publicExponent: PUBLIC_EXPONENT }
      : { paramsECDSA: parameters };
  const own: ITemplate = {
    ...named,
    ...vendor.privateKey,
    private: true,
    sensitive: true,
    extractable: false,
    sign: true,
  };
  await new Promise<void>((resolve, reject) => {
    session.generateKeyPair(mechanism, { ...named, ...kind, verify: true }, own, (error) =>
      error ? reject(error) : resolve(),
    );
  });
  try {
    requireConfined(findObject(session, handle, PRIVATE_KEY));
  } catch (error) {
    removeKey(session, handle);
    throw error;
  }
}

/**
 * Seen by nobody who is not logged in, made in this token, and never to leave it (PKCS #11 v3.1 §4.9): some libraries do not do as the template says, and
 * somebody else may have put a key under this id. Errors: KEY_UNAVAILABLE.
 */
export function requireConfined(key: SessionObject): void {
  const is = key.getAttribute({
    private: null,
    sensitive: null,
    alwaysSensitive: null,
    extractable: null,
    neverExtractable: null,
    local: null,
  });
  const wrong = [
    ...(['private', 'sensitive', 'alwaysSensitive', 'neverExtractable', 'local'] as const).filter(
      (name) => is[name] !== true,
    ),
    ...(is.extractable === false ? [] : ['extractable']),
  ];
  if (wrong.length === 0) return;
  throw unavailable(`The key in the token is refused: it may be known elsewhere (${wrong}).`);
}

/** One octet a handle: 1 when there is no private and no secret key under it. Errors: those of the library. */
export function missing(session: Session, { handles }: Call<'missing'>): Buffer {
  const { PRIVATE_KEY, SECRET_KEY } = graphene.ObjectClass;
  const isThere = (handle: string) =>
    [PRIVATE_KEY, SECRET_KEY].some(
      (kind) => findObjects(session, { id: objectId(handle), class: kind }).length > 0,
    );
  const octets = Buffer.from(handles.map((handle) => (isThere(handle) ? 0 : 1)));
  // As in findObject.
  if (octets.includes(1)) session.slot.getToken();
  return octets;
}

/** SubjectPublicKeyInfo. Errors: KEY_NOT_FOUND, KEY_UNAVAILABLE, those of the library. */
export function publicKey(session: Session, handle: string): Buffer {
  return subjectPublicKeyInfoOf(findObject(session, handle, graphene.ObjectClass.PUBLIC_KEY));
}

/** The signature as the token makes it: ECDSA's is r and s side by side. Errors: KEY_NOT_FOUND, those of the library. */
export async function sign(
  session: Session,
  vendor: Vendor,
  handles: ObjectHandles,
  { handle, keyType, data: { buffer, byteOffset, byteLength } }: Call<'sign'>,
): Promise<Buffer> {
  const { lib } = session;
  const key = privateKey(session, handles, handle);
  const data = Buffer.from(buffer, byteOffset, byteLength);
  const signature = Buffer.alloc(SIGNATURE_OCTETS);
  lib.C_SignInit(session.handle, { mechanism: KEY_MECHANISMS[keyType].sign }, key);
  if (vendor.inline.has(keyType)) return lib.C_Sign(session.handle, data, signature);
  return new Promise((resolve, reject) => {
    // Runs in a thread. pkcs11js keeps the octets' address alone: `data` is named below so that they stay where they are until then.
    lib.C_Sign(session.handle, data, signature, (error, signed) => {
      if (error !== null || data.length === 0) reject(error);
      else resolve(signed);
    });
  });
}

/** Destroys everything under this handle. Errors: those of the library. */
export function removeKey(session: Session, handle: string): void {
  for (const object of findObjects(session, { id: objectId(handle) })) session.destroy(object);
}

function privateKey(session: Session, handles: ObjectHandles, handle: string): Buffer {
  const known = handles.get(handle);
  if (known !== undefined) return known;
  const object = findObject(session, handle, graphene.ObjectClass.PRIVATE_KEY);
  handles.set(handle, object.handle);
  return object.handle;
}

/** The one object of a class under a handle. Errors: KEY_NOT_FOUND, KEY_UNAVAILABLE for several, those of the library. */
export function findObject(session: Session, handle: string, kind: number): SessionObject {
  const [object, another] = findObjects(session, { id: objectId(handle), class: kind });
  // Which of them belongs to the certificate, nobody knows.
  if (another !== undefined) throw unavailable(`Several keys are '${handle}' in the token.`);
  if (object !== undefined) return object;
  // Some libraries find nothing in a token that was taken out, instead of saying so.
  session.slot.getToken();
  throw new GigvaultError('KEY_NOT_FOUND', `No key '${handle}' in the token.`);
}

function isWhole(session: Session, id: Buffer): boolean {
  const { PRIVATE_KEY, PUBLIC_KEY } = graphene.ObjectClass;
  return [PRIVATE_KEY, PUBLIC_KEY].every(
    (kind) => findObjects(session, { id, class: kind }).length > 0,
  );
}

/** CKA_ID: the UUID's 16 octets. */
export function objectId(handle: string): Buffer {
  return Buffer.from(handle.replaceAll('-', ''), 'hex');
}
