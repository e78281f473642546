import { ROLE_NAMES } from '@gigvault/access/permissions';
import { HIDDEN } from '@gigvault/config/config-problems';
import { durationBetween } from '@gigvault/config/duration';
import { type SecretReference, secretReference } from '@gigvault/config/secret';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';
import { vendorEnvironment } from '@gigvault/keystore/pkcs11/vendors/choose-vendor';
import { awsConfig, awsCredentialsConfig } from '@gigvault/secrets/secrets.config';
import { z } from 'zod';

/** The name of the backend that is always there: encrypted files in the data directory. */
export const FILES = 'pkcs8';

/** RFC 7512, as `pkcs11:token=pki?module-path=/usr/lib/…/lib….so&pin-source=file:/etc/gigvault/pin`; see parsePkcs11Uri. */
export const pkcs11Uri = z
  .string()
  .superRefine((text, context) => {
    try {
      parsePkcs11Uri(text);
    } catch (error) {
      // As `is refused: module-path is missing`, after the key's name.
      const message = asGigvaultError(error).message.replace(/^The PKCS #11 URI (.*)\.$/, '$1');
      context.addIssue({ code: 'custom', message });
    }
  })
  .meta(HIDDEN);

/** Where the PIN is, by a PKCS #11 URI in which the place may be percent-encoded (RFC 7512 §2.3). Errors: those of parsePkcs11Uri. */
export function pinPlace(uri: string): SecretReference {
  return parsePkcs11Uri(uri).pinSource;
}

/** What the libraries of tokens read of an environment: where they are configured, and no secret. */
export function libraryEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  return vendorEnvironment(environment);
}

/** Who may make keys in a backend and use those that are there, as far as their permissions go. Default: every role. */
const roles = z.array(z.enum(ROLE_NAMES)).min(1).optional();

const absolutePath = z.string().startsWith('/', 'an absolute path');

/** A token behind a vendor's PKCS #11 library, in an HSM or a TPM: by its URI, or by library, token and PIN. */
const pkcs11Backend = z
  .strictObject({
    type: z.literal('pkcs11'),
    uri: pkcs11Uri.optional(),
    library: absolutePath.optional(),
    /** CKA_LABEL of the token, or its slot: at least one of them. */
    token: z.string().min(1).max(32).optional(),
    slotId: z.int().min(0).optional(),
    /** Where its user PIN is. */
    pin: secretReference.optional(),
    /** Operations that the token does at once. Default: as many as are of use with the vendor's library. */
    sessions: z.int().min(1).max(64).optional(),
    roles,
  })
  .superRefine(({ uri, library, token, slotId, pin }, context) => {
    const refuse = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message });
    const parts = { library, token, slotId, pin };
    const given = Object.entries(parts).filter(([, value]) => value !== undefined);
    if (uri !== undefined) {
      for (const [key] of given) refuse(key, 'must not stand beside uri, which says the same');
    } else if (given.length === 0) refuse('uri', 'is missing, or library, token and pin');
    else {
      for (const key of ['library', 'pin'] as const)
        if (parts[key] === undefined) refuse(key, 'is missing');
      if (token === undefined && slotId === undefined) refuse('token', 'is missing, or slotId');
    }
  });

/** A TPM 2.0, by tpm2-pkcs11. */
const tpm2Backend = z.strictObject({
  type: z.literal('tpm2'),
  /** Its device with a resource manager. */
  device: absolutePath.default('/dev/tpmrm0'),
  /** How the TPM is reached, instead of `device`: a TCTI of tpm2-tss, as `tabrmd:bus_type=session`. */
  tcti: z
    .string()
    .regex(/^[a-z][a-z0-9_-]*(:.*)?$/, 'a TCTI of tpm2-tss, as device:/dev/tpmrm0')
    .optional(),
  /** The label of a token that `tpm2_ptool` has made. */
  token: z.string().min(1).max(32),
  /** Where its user PIN is. */
  pin: secretReference,
  /** Where tpm2-pkcs11 keeps its store. Default: `tpm2` in the service's data directory. */
  directory: absolutePath.optional(),
  /** The library. Default: where distributions put it. */
  modulePath: absolutePath.optional(),
  roles,
});

/** Keys in AWS KMS. What is absent is as AWS's own tools have it. */
const awsKmsBackend = z.strictObject({
  type: z.literal('aws-kms'),
  ...awsConfig.shape,
  /** The endpoints in FIPS mode. */
  fips: z.boolean().optional(),
  /** Whoever KMS is asked as. Default: AWS's own chain, of which a role is the last. */
  credentials: awsCredentialsConfig(secretReference).optional(),
  /** Days between the destruction of a key and its end in KMS, in which it can be had back there. */
  deletionDays: z.int().min(7).max(30).default(30),
  roles,
});

/** Keys that die with the process. */
const memoryBackend = z.strictObject({ type: z.literal('memory'), roles });

/** One entry of `keymgr.backends`. */
export type BackendConfig = z.infer<typeof backendConfig>;
const backendConfig = z.discriminatedUnion('type', [
  pkcs11Backend,
  tpm2Backend,
  awsKmsBackend,
  memoryBackend,
]);

const perMinute = z.int().min(0).max(1_000_000_000);

/** How often each client may, in a minute; 0 is no limit. What counts as what: LimitedUse. */
const limits = (generate: number, sign: number, list: number) =>
  z.strictObject({
    generate: perMinute.default(generate),
    sign: perMinute.default(sign),
    list: perMinute.default(list),
  });

/** Services change no keys. */
const limitsOfPeople = limits(10, 100, 50).extend({ change: perMinute.default(60) });

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
    /** Place of the master key that encrypts them. Default: `secrets/keymgr-master.key` in the service's data directory. */
    masterKey: secretReference.optional(),
    /** Places of master keys of before, while a new one takes over; for master keys that lie elsewhere than in files. */
    earlierMasterKeys: z.array(secretReference).default([]),
    /** How long a key waits for its destruction, which may be undone meanwhile. */
    destructionWait: durationBetween('1d', '30d').prefault('7d'),
    /** How many people besides who asked must approve a key's destruction, or it never comes. */
    destruction: z.strictObject({ approvals: z.int().min(0).max(10).default(0) }).prefault({}),
    /** Of each person, with all of their API keys, and of each service. */
    limits: z
      .strictObject({
        people: limitsOfPeople.prefault({}),
        services: limits(60, 3_000_000, 600).prefault({}),
      })
      .prefault({}),
  })
  .refine(
    ({ masterKey, earlierMasterKeys }) =>
      earlierMasterKeys.length === 0 || (masterKey !== undefined && !masterKey.startsWith('file:')),
    {
      message:
        'is for a keymgr.masterKey that lies elsewhere: earlier versions of a file are found by themselves',
      path: ['earlierMasterKeys'],
    },
  )
  .refine(({ backend, backends }) => backend === FILES || Object.hasOwn(backends, backend), {
    message: 'must be pkcs8 or one of keymgr.backends',
    path: ['backend'],
  })
  .refine(({ backend, backends }) => backends[backend]?.type !== 'memory', {
    message: 'must not be in memory, where the keys of the CAs would die with the process',
    path: ['backend'],
  })
  .prefault({});

/** The parsed section. */
export type KeymgrConfig = z.infer<typeof keymgrConfig>;

/** The absolute paths that a configuration means. `masterKey` is undefined when it is in no file. */
export function keymgrPaths(
  config: KeymgrConfig,
  dataDir: string,
): { readonly directory: string; readonly masterKey: string | undefined } {
  return {
    directory: config.directory ?? `${dataDir}/keys`,
    masterKey: masterKeyFile(config.masterKey ?? `file://${dataDir}/secrets/keymgr-master.key`),
  };
}

function masterKeyFile(place: string): string | undefined {
  return place.startsWith('file://') ? place.slice('file://'.length) : undefined;
}
