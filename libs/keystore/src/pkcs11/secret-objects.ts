import graphene, { type Session } from 'graphene-pk11';
import { LRUCache } from 'lru-cache';
import pkcs11js, { type Mechanism } from 'pkcs11js';
import { SECRET_KEY_TYPES, type SecretKeyType } from '../key-types.ts';
import { decryptionFailed, GCM_TAG_OCTETS, otherUse, secretOctets } from '../secret-key.ts';
import { SECRET_MECHANISMS } from './mechanisms.ts';
import { returnValueOf, unavailable } from './return-value.ts';
import { findObjects } from './sessions.ts';
import {
  type Call,
  findObject,
  type ObjectHandles,
  objectId,
  REMEMBERED_KEYS,
  removeKey,
  requireConfined,
} from './token-keys.ts';
import type { Vendor } from './vendors/vendor.ts';

const OCTET = 8;
const LARGEST_MAC = 64;

/**
 * Makes a key that stays in the token and does one thing. May have been asked before, with nobody knowing what came of it: then the key that is
 * there is the answer. Errors: those of the library.
 */
export async function generateSecret(
  session: Session,
  { handle, keyType, label }: Call<'generateSecret'>,
): Promise<void> {
  const id = objectId(handle);
  const { SECRET_KEY } = graphene.ObjectClass;
  if (findObjects(session, { id, class: SECRET_KEY }).length > 0)
    return requireConfined(findObject(session, handle, SECRET_KEY));
  const { generate, kind } = SECRET_MECHANISMS[keyType];
  const isCipher = kind === pkcs11js.CKK_AES;
  const template = {
    class: graphene.ObjectClass.SECRET_KEY,
    keyType: kind,
    token: true,
    private: true,
    sensitive: true,
    extractable: false,
    id,
    label,
    valueLen: secretOctets(keyType),
    encrypt: isCipher,
    decrypt: isCipher,
    sign: !isCipher,
    verify: !isCipher,
  };
  await new Promise<void>((resolve, reject) => {
    session.generateKey(generate, template, (error) => (error ? reject(error) : resolve()));
  });
  try {
    requireConfined(findObject(session, handle, SECRET_KEY));
  } catch (error) {
    removeKey(session, handle);
    throw error;
  }
}

/** AES-GCM. Errors: KEY_NOT_FOUND, KEY_USE_REFUSED, DECRYPTION_FAILED, those of the library. */
export async function cipher(
  session: Session,
  vendor: Vendor,
  handles: ObjectHandles,
  call: Call<'encrypt' | 'decrypt'>,
): Promise<Buffer> {
  const { lib, handle } = session;
  const key = secretKey(session, handles, call.handle, 'aes-');
  const iv = copyOf(call.iv);
  const aad = copyOf(call.additionalData);
  const input = copyOf(call.data);
  const output = Buffer.alloc(input.length + GCM_TAG_OCTETS);
  const parameter = {
    type: pkcs11js.CK_PARAMS_AES_GCM,
    iv,
    aad,
    ivBits: iv.length * OCTET,
    tagBits: GCM_TAG_OCTETS * OCTET,
  };
  const mechanism: Mechanism = { mechanism: pkcs11js.CKM_AES_GCM, parameter };
  try {
    if (call.method === 'encrypt') {
      lib.C_EncryptInit(handle, mechanism, key.handle);
      return await inThread((done) => lib.C_Encrypt(handle, input, output, done), [input, iv, aad]);
    }
    lib.C_DecryptInit(handle, mechanism, key.handle);
    return await inThread((done) => lib.C_Decrypt(handle, input, output, done), [input, iv, aad]);
  } catch (error) {
    const wrong = vendor.undecryptable.has(returnValueOf(error) ?? '');
    throw call.method === 'decrypt' && wrong ? decryptionFailed(error) : error;
  }
}

/** The whole HMAC. Errors: KEY_NOT_FOUND, KEY_USE_REFUSED, those of the library. */
export function mac(session: Session, handles: ObjectHandles, call: Call<'mac'>): Promise<Buffer> {
  const { lib, handle } = session;
  const key = secretKey(session, handles, call.handle, 'hmac-');
  const input = copyOf(call.data);
  const output = Buffer.alloc(LARGEST_MAC);
  lib.C_SignInit(handle, { mechanism: SECRET_MECHANISMS[key.keyType].use }, key.handle);
  return inThread((done) => lib.C_Sign(handle, input, output, done), [input]);
}

/** Runs in a thread. pkcs11js keeps the octets' address alone: `held` is named below so that they stay where they are until then. */
function inThread(
  run: (done: (error: Error | null, result: Buffer) => void) => void,
  held: readonly Buffer[],
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    run((error, result) => {
      if (error !== null || held.length === 0) reject(error);
      else resolve(result);
    });
  });
}

/** The type is what the token says: who asks knows the handle alone. */
const types = new LRUCache<string, SecretKeyType>({ max: REMEMBERED_KEYS });

function secretKey(
  session: Session,
  handles: ObjectHandles,
  handle: string,
  family: 'aes-' | 'hmac-',
): { readonly handle: Buffer; readonly keyType: SecretKeyType } {
  const known = handles.get(handle);
  const object = known ?? findObject(session, handle, graphene.ObjectClass.SECRET_KEY).handle;
  const keyType = types.get(handle) ?? typeOf(session, object);
  handles.set(handle, object);
  types.set(handle, keyType);
  if (!keyType.startsWith(family)) throw otherUse(keyType);
  return { handle: object, keyType };
}

function typeOf({ lib, handle }: Session, object: Buffer): SecretKeyType {
  const [kind, length] = lib
    .C_GetAttributeValue(handle, object, [
      { type: pkcs11js.CKA_KEY_TYPE },
      { type: pkcs11js.CKA_VALUE_LEN },
    ])
    .map(({ value }) => (value as Buffer).readUInt32LE());
  const found = SECRET_KEY_TYPES.find(
    (keyType) => SECRET_MECHANISMS[keyType].kind === kind && secretOctets(keyType) === length,
  );
  if (found !== undefined) return found;
  throw unavailable('The key in the token is of a type that is not known here.');
}

function copyOf(octets: Uint8Array): Buffer {
  return Buffer.from(octets);
}
