import type { ErrorCode } from '@gigvault/errors/error-table';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { SOFTWARE_KEY_TYPES } from '@gigvault/keystore/key-algorithm';
import { parseKeyHandle } from '@gigvault/keystore/key-store';
import {
  type AnyKeyType,
  isAesKeyType,
  isRsaKeyType,
  SECRET_KEY_TYPES,
} from '@gigvault/keystore/key-types';
import { USAGES, type Usage } from './stored-key.ts';

/** The types of people's keys. */
export const KEY_TYPES: readonly AnyKeyType[] = [...SOFTWARE_KEY_TYPES, ...SECRET_KEY_TYPES];

/** A kind of key as people ask for it: its whole type, as `rsa-3072`, or a family and what tells its members apart. */
export interface AskedKeySpec {
  /** One of KEY_TYPES, or `rsa`, `ecdsa`, `aes`, `hmac`. */
  readonly keyType: string;
  /** Bits of the modulus (RSA), or of the key (AES). */
  readonly keySize?: number | undefined;
  /** As `P-256`. */
  readonly curve?: string | undefined;
  /** Of HMAC, as `SHA-256`; of other types, the one that the type has anyway. */
  readonly hash?: string | undefined;
  /** Only RSA has a choice: `sign` unless it is said. */
  readonly usage?: string | undefined;
}

/** What was asked for, once it has passed. */
export interface KeySpec {
  readonly keyType: AnyKeyType;
  readonly usage: Usage;
}

const CURVES: Readonly<Record<string, AnyKeyType>> = {
  'P-256': 'ec-p256',
  'P-384': 'ec-p384',
  'P-521': 'ec-p521',
};
const SIZES: Readonly<Record<string, readonly number[]>> = {
  rsa: [2048, 3072, 4096],
  aes: [128, 192, 256],
};
const HASHES: readonly string[] = ['SHA-256', 'SHA-384', 'SHA-512'];
const FAMILIES = ['rsa', 'ecdsa', 'aes', 'hmac'] as const;

/** Ids of the services' own keys. The table's constraint `key_of_service_check` says the same. */
export const RESERVED = /^(ca|ocsp|audit|auth)-/i;

/** Errors: INVALID_KEY_ID (K54, T67). */
export function requireKeyId(text: string): string {
  try {
    return parseKeyHandle(text);
  } catch (cause) {
    const { message } = cause as GigvaultError;
    throw invalid('INVALID_KEY_ID', '/keyId', message);
  }
}

/** Every check of a new key's kind (K59). Errors: INVALID_KEY_TYPE, INVALID_KEY_SIZE, INVALID_CURVE, INVALID_HASH_ALGORITHM, INVALID_ARGUMENT (usage). */
export function requireKeySpec(asked: AskedKeySpec): KeySpec {
  const keyType = wholeType(asked);
  requireKeySize(keyType, asked.keySize);
  requireCurve(keyType, asked.curve);
  requireHash(keyType, asked.hash);
  return { keyType, usage: requireUsage(keyType, asked.usage) };
}

/** A family with what tells its members apart, as a whole type. Errors: those of requireKeySpec. */
function wholeType({ keyType, keySize, curve, hash }: AskedKeySpec): AnyKeyType {
  switch (FAMILIES.find((family) => family === keyType)) {
    case 'rsa':
    case 'aes':
      return requireKeyType(`${keyType}-${requireOneOf(SIZES[keyType] ?? [], keySize, keyType)}`);
    case 'ecdsa':
      return CURVES[curve ?? ''] ?? refuseCurve(Object.keys(CURVES));
    case 'hmac':
      if (!HASHES.includes(hash ?? '')) refuseHash(HASHES);
      return requireKeyType(`hmac-${hash?.replace('-', '').toLowerCase()}`);
    case undefined:
      return requireKeyType(keyType);
  }
}

/** Errors: INVALID_KEY_TYPE (K55). */
export function requireKeyType(text: string): AnyKeyType {
  const keyType = KEY_TYPES.find((known) => known === text);
  if (keyType !== undefined) return keyType;
  const known = [...KEY_TYPES, ...FAMILIES].join(', ');
  throw invalid(
    'INVALID_KEY_TYPE',
    '/keyType',
    `Key type '${text.slice(0, 64)}' is not one of ${known}.`,
  );
}

/** Errors: INVALID_KEY_SIZE for another one than the type has (K56). */
function requireKeySize(keyType: AnyKeyType, keySize: number | undefined): void {
  if (keySize === undefined) return;
  const own = keySizeOf(keyType);
  requireOneOf(own === undefined ? [] : [own], keySize, keyType);
}

function requireOneOf(sizes: readonly number[], size: number | undefined, keyType: string): number {
  if (size !== undefined && sizes.includes(size)) return size;
  const message =
    sizes.length === 0
      ? `Keys of type ${keyType} have no size to choose.`
      : `The size of keys of type ${keyType} is ${sizes.join(', ')}.`;
  throw invalid('INVALID_KEY_SIZE', '/keySize', message);
}

/** Errors: INVALID_CURVE for another one than the type has (K57). */
function requireCurve(keyType: AnyKeyType, curve: string | undefined): void {
  if (curve === undefined) return;
  const own = curveOf(keyType);
  if (curve !== own) refuseCurve(own === undefined ? [] : [own]);
}

/** Errors: INVALID_HASH_ALGORITHM for another one than keys of this type sign with (K58). */
export function requireHash(keyType: AnyKeyType, hash: string | undefined): void {
  if (hash === undefined) return;
  const own = hashOf(keyType);
  if (hash !== own) refuseHash(own === undefined ? [] : [own]);
}

function requireUsage(keyType: AnyKeyType, asked: string | undefined): Usage {
  const only: Usage = isAesKeyType(keyType) ? 'encrypt' : 'sign';
  if (asked === undefined || asked === only) return only;
  const usage = USAGES.find((known) => known === asked);
  if (usage !== undefined && isRsaKeyType(keyType)) return usage;
  const may = isRsaKeyType(keyType) ? USAGES.join(' or ') : only;
  throw invalid('INVALID_ARGUMENT', '/usage', `The usage of keys of type ${keyType} is ${may}.`);
}

/** Bits, of the modulus, the curve or the secret; undefined where they say nothing. */
export function keySizeOf(keyType: AnyKeyType): number | undefined {
  const size = Number(/^(?:rsa-|aes-|ec-p|hmac-sha)(\d+)$/.exec(keyType)?.[1]);
  return Number.isNaN(size) ? undefined : size;
}

/** As `P-256`; undefined for types without one. */
export function curveOf(keyType: AnyKeyType): string | undefined {
  return Object.keys(CURVES).find((curve) => CURVES[curve] === keyType);
}

/** That keys of this type sign with, as `SHA-256`; undefined for those that hash by themselves, or do not sign. */
export function hashOf(keyType: AnyKeyType): string | undefined {
  if (keyType.startsWith('hmac-')) return `SHA-${keyType.slice(-3)}`;
  if (isRsaKeyType(keyType) || keyType === 'ec-p256') return 'SHA-256';
  if (keyType === 'ec-p384') return 'SHA-384';
  return keyType === 'ec-p521' ? 'SHA-512' : undefined;
}

function refuseCurve(curves: readonly string[]): never {
  const message =
    curves.length === 0
      ? 'Keys of this type have no curve to choose.'
      : `The curve is ${curves.join(', ')}.`;
  throw invalid('INVALID_CURVE', '/curve', message);
}

function refuseHash(hashes: readonly string[]): never {
  const message =
    hashes.length === 0
      ? 'Keys of this type have no hash to choose.'
      : `The hash is ${hashes.join(', ')}.`;
  throw invalid('INVALID_HASH_ALGORITHM', '/hash', message);
}

function invalid(code: ErrorCode, pointer: string, message: string): GigvaultError {
  return new GigvaultError(code, message, { problems: [{ pointer, message }] });
}
