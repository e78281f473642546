import { toPem } from '@gigvault/x509/pem';
import { z } from 'zod';
import { KEY_STATES } from '../keys/key-state.ts';
import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';

const time = z.string().describe('RFC 3339, UTC');

/** A key id, as clients write it. */
export const keyId = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,255}$/, 'must be 1 to 255 letters, digits and dashes');

/** A number of a version. */
export const version = z.int().min(1).max(2_147_483_646);

/** A key. */
export const keySchema = z.strictObject({
  keyId,
  keyType: z.string(),
  version: version.describe('The current one, which signs'),
  publicKey: z.string().describe('Of the current version: SubjectPublicKeyInfo, PEM'),
  state: z.enum(KEY_STATES).describe('NIST SP 800-57 part 1 §7'),
  destroyAt: time.optional().describe('When it will be destroyed; absent when nobody asked for it'),
  createdAt: time,
  owner: z.string(),
  purposes: z.array(z.string()),
  backend: z.string(),
});

const versionSchema = z.strictObject({
  version,
  publicKey: z.string().describe('SubjectPublicKeyInfo, PEM'),
  createdAt: time,
  backend: z.string(),
});

/** A key with its versions. */
export const keyWithVersionsSchema = keySchema.extend({
  versions: z.array(versionSchema).describe('The newest 100, the current one first'),
});

const PEM = '-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n';

/** A key in the document. */
export const EXAMPLE: z.infer<typeof keySchema> = {
  keyId: 'my-key',
  keyType: 'ec-p256',
  version: 1,
  publicKey: PEM,
  state: 'active',
  createdAt: '2026-01-31T12:00:00.000Z',
  owner: 'user:3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11',
  purposes: [],
  backend: 'pkcs8',
};

/** The same while it waits for its destruction. */
export const EXAMPLE_WAITING: z.infer<typeof keySchema> = {
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
export function toJson(key: StoredKey): z.infer<typeof keySchema> {
  const destroyAt = key.destroyAt === null ? {} : { destroyAt: rfc3339(key.destroyAt) };
  return {
    keyId: key.keyId,
    keyType: key.publicKey.keyType,
    version: key.version,
    publicKey: toPem('PUBLIC KEY', key.publicKey.spki),
    state: key.state,
    ...destroyAt,
    createdAt: rfc3339(key.createdAt),
    owner: key.owner,
    purposes: [...key.purposes],
    backend: key.backend,
  };
}

/** The key with these earlier versions. */
export function toJsonWithVersions(
  key: StoredKey,
  earlier: readonly KeyVersion[],
): z.infer<typeof keyWithVersionsSchema> {
  const versions = [key, ...earlier].map((one) => ({
    version: one.version,
    publicKey: toPem('PUBLIC KEY', one.publicKey.spki),
    createdAt: rfc3339(one.versionCreatedAt),
    backend: one.backend,
  }));
  return { ...toJson(key), versions };
}

function rfc3339(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
