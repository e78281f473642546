import { ROLE_NAMES } from '@gigvault/access/permissions';
import { durationBetween } from '@gigvault/config/duration';
import { z } from 'zod';

/** The name of the backend that is always there: encrypted files in the data directory. */
export const FILES = 'pkcs8';

/** What a token's URI may be. */
export const PKCS11_URI = 'a PKCS #11 URI (RFC 7512), pkcs11:token=…?module-path=…&pin-source=…';

/** Who may make keys in a backend and use those that are there, as far as their permissions go. Default: every role. */
const roles = z.array(z.enum(ROLE_NAMES)).min(1).optional();

/** A token behind a vendor's PKCS #11 library, in an HSM or a TPM. */
const pkcs11Backend = z.strictObject({
  type: z.literal('pkcs11'),
  /** RFC 7512, as `pkcs11:token=pki?module-path=/usr/lib/…/lib….so&pin-source=file:/etc/gigvault/pin`. */
  uri: z.string().regex(/^pkcs11:/, PKCS11_URI),
  /** Operations that the token does at once. Default: as many as are of use with the vendor's library. */
  sessions: z.int().min(1).max(64).optional(),
  roles,
});

/** Keys that die with the process. */
const memoryBackend = z.strictObject({ type: z.literal('memory'), roles });

/** One entry of `keymgr.backends`. */
export type BackendConfig = z.infer<typeof backendConfig>;
const backendConfig = z.discriminatedUnion('type', [pkcs11Backend, memoryBackend]);

const perMinute = z.int().min(0).max(1_000_000_000);

/** How often each client may, in a minute; 0 is no limit. What counts as what: LimitedUse. */
const limits = (generate: number, sign: number, list: number) =>
  z
    .strictObject({
      generate: perMinute.default(generate),
      sign: perMinute.default(sign),
      list: perMinute.default(list),
    })
    .prefault({});

/** Section `keymgr` of the configuration. */
export const keymgrConfig = z
  .strictObject({
    /** The backend that makes new keys: `pkcs8`, or a name of `backends`. */
    backend: z.string().default(FILES),
    /** Further backends by name. A key stays where it was made: a backend must stay configured while it has keys. */
    backends: z
      .record(
        z
          .string()
          .regex(/^(?!pkcs8$)[a-z][a-z0-9-]{0,31}$/, 'a name: a-z, 0-9 and dashes, not pkcs8'),
        backendConfig,
      )
      .default({}),
    /** The backend `pkcs8`: `backends` says the same of the others. */
    pkcs8: z.strictObject({ roles }).prefault({}),
    /** Directory of the encrypted key files, absolute. Default: `keys` in the service's data directory. */
    directory: z.string().startsWith('/').optional(),
    /** Place of the master key that encrypts them, `file:///…`. Default: `secrets/keymgr-master.key` in the service's data directory. */
    masterKey: z
      .string()
      .regex(/^file:\/\/\/./, 'expected file:///path')
      .optional(),
    /** How long a key waits for its destruction, which may be undone meanwhile. */
    destructionWait: durationBetween('1d', '30d').prefault('7d'),
    /** Of each person, with all of their API keys, and of each service. */
    limits: z
      .strictObject({ people: limits(10, 100, 50), services: limits(60, 3_000_000, 600) })
      .prefault({}),
  })
  .refine(({ backend, backends }) => backend === FILES || Object.hasOwn(backends, backend), {
    message: 'is neither pkcs8 nor one of keymgr.backends',
    path: ['backend'],
  })
  .prefault({});

/** The parsed section. */
export type KeymgrConfig = z.infer<typeof keymgrConfig>;

/** The absolute paths that a configuration means. */
export function keymgrPaths(
  config: KeymgrConfig,
  dataDir: string,
): { readonly directory: string; readonly masterKey: string } {
  return {
    directory: config.directory ?? `${dataDir}/keys`,
    masterKey: config.masterKey?.slice('file://'.length) ?? `${dataDir}/secrets/keymgr-master.key`,
  };
}
