import { toPem } from '@gigvault/x509/pem';
import { z } from 'zod';
import type { Backends } from '../backends/backends.ts';
import { curveOf, KEY_TYPES, keySizeOf } from '../keys/key-spec.ts';
import { KEY_STATES } from '../keys/key-state.ts';
import { type KeyVersion, type StoredKey, USAGES } from '../keys/stored-key.ts';

const lost = z
  .literal(true)
  .optional()
  .describe(
    'The private key is gone with the process that held it, for good: nothing is signed, encrypted or decrypted with it any more',
  );
const time = z.string().describe('RFC 3339, UTC');

/** A key id, as clients write it; what cannot be one is INVALID_KEY_ID. */
export const keyId = z
  .string()
  .max(10_000)
  .describe('1 to 255 letters, digits and dashes')
  .meta({ pattern: '^[A-Za-z0-9-]{1,255}$' });

/** Octets, as JSON has them; whoever sends too many is told in octets, not in characters of base64. */
export function octets(least: number, most: number) {
  const characters = (count: number) => Math.ceil(count / 3) * 4;
  return z
    .base64()
    .min(characters(least), `must have at least ${least} ${least === 1 ? 'octet' : 'octets'}`)
    .max(characters(most), `must have at most ${most} octets`)
    .describe(`Base64 of ${least} to ${most} octets`);
}

/** A number of a version. */
export const version = z.int().min(1).max(2_147_483_646);

/** What kind of key, as AskedKeySpec has it. */
export const keySpecSchema = z.strictObject({
  keyType: z
    .string()
    .max(100)
    .describe(`${KEY_TYPES.join(', ')}; or rsa, ecdsa, aes, hmac, with keySize, curve or hash`),
  keySize: z.int().optional().describe('Bits: of rsa and aes'),
  curve: z.string().max(100).optional().describe('Of ecdsa: P-256, P-384, P-521'),
  hash: z.string().max(100).optional().describe('Of hmac: SHA-256, SHA-384, SHA-512'),
  usage: z
    .string()
    .max(100)
    .optional()
    .describe(
      'sign or encrypt, never both; RSA alone has a choice, and signs when nothing is said',
    ),
});

/** A key. */
export const keySchema = z.strictObject({
  keyId,
  keyType: z.string(),
  keySize: z.int().optional().describe('Bits; absent for Ed25519 and ML-DSA'),
  curve: z.string().optional(),
  usage: z.enum(USAGES).describe('What it is for: to sign and verify, or to encrypt and decrypt'),
  version: version.describe('The current one, which signs or encrypts'),
  publicKey: z
    .string()
    .optional()
    .describe('Of the current version: SubjectPublicKeyInfo, PEM. AES and HMAC keys have none'),
  state: z.enum(KEY_STATES).describe('NIST SP 800-57 part 1 §7'),
  destroyAt: time.optional().describe('When it will be destroyed; absent when nobody asked for it'),
  createdAt: time,
  owner: z.string(),
  purposes: z.array(z.string()),
  backend: z.string(),
  lost,
});

const versionSchema = z.strictObject({
  version,
  publicKey: z.string().optional().describe('SubjectPublicKeyInfo, PEM'),
  createdAt: time,
  backend: z.string(),
  lost,
});

/** A key with its versions. */
export const keyWithVersionsSchema = keySchema.extend({
  versions: z.array(versionSchema).describe('The newest 100, the current one first'),
});

/** Which private keys are gone. */
export type LostKeys = Pick<Backends, 'hasLost'>;

/** A key as the API shows it. */
export type KeyJson = z.infer<typeof keySchema>;

const PEM = '-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n';

/** A key in the document. */
export const EXAMPLE: KeyJson = {
  keyId: 'my-key',
  keyType: 'ec-p256',
  keySize: 256,
  curve: 'P-256',
  usage: 'sign',
  version: 1,
  publicKey: PEM,
  state: 'active',
  createdAt: '2026-01-31T12:00:00.000Z',
  owner: 'user:3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11',
  purposes: [],
  backend: 'pkcs8',
};

/** The same while it waits for its destruction. */
export const EXAMPLE_WAITING: KeyJson = {
  ...EXAMPLE,
  state: 'deactivated',
  destroyAt: '2026-02-07T12:00:00.000Z',
};

/** A key with its versions in the document. */
export const EXAMPLE_WITH_VERSIONS: z.infer<typeof keyWithVersionsSchema> = {
  ...EXAMPLE_WAITING,
  versions: [{ version: 1, publicKey: PEM, createdAt: EXAMPLE.createdAt, backend: 'pkcs8' }],
};

/** The key as the API shows it. */
export function toJson(key: StoredKey, backends: LostKeys): KeyJson {
  const keySize = keySizeOf(key.keyType);
  const curve = curveOf(key.keyType);
  return {
    keyId: key.keyId,
    keyType: key.keyType,
    ...(keySize === undefined ? {} : { keySize }),
    ...(curve === undefined ? {} : { curve }),
    usage: key.usage,
    version: key.version,
    ...publicKeyOf(key),
    state: key.state,
    ...(key.destroyAt === null ? {} : { destroyAt: rfc3339(key.destroyAt) }),
    createdAt: rfc3339(key.createdAt),
    owner: key.owner,
    purposes: [...key.purposes],
    backend: key.backend,
    ...lostOf(key, key, backends),
  };
}

/** The key with these earlier versions. */
export function toJsonWithVersions(
  key: StoredKey,
  earlier: readonly KeyVersion[],
  backends: LostKeys,
): z.infer<typeof keyWithVersionsSchema> {
  const versions = [key, ...earlier].map((one) => ({
    version: one.version,
    ...publicKeyOf(one),
    createdAt: rfc3339(one.versionCreatedAt),
    backend: one.backend,
    ...lostOf(key, one, backends),
  }));
  return { ...toJson(key, backends), versions };
}

function publicKeyOf({ publicKey }: KeyVersion): { readonly publicKey?: string } {
  return publicKey === null ? {} : { publicKey: toPem('PUBLIC KEY', publicKey.spki) };
}

/** Of a destroyed key nothing is lost: that was wanted. */
function lostOf(
  { state }: StoredKey,
  version: KeyVersion,
  backends: LostKeys,
): { readonly lost?: true } {
  return state !== 'destroyed' && backends.hasLost(version) ? { lost: true } : {};
}

function rfc3339(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
