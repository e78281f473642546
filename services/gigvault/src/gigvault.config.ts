import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { auditConfig } from '@gigvault/audit/audit.config';
import { authConfig } from '@gigvault/auth/auth.config';
import { caConfig } from '@gigvault/ca/ca.config';
import { HIDDEN } from '@gigvault/config/config-problems';
import { flagName } from '@gigvault/config/load-config';
import { numberedKeys, singleKeys } from '@gigvault/config/numbered-entries';
import { processEnvironment } from '@gigvault/config/process-environment';
import { SECRET_FORMS, SECRET_PLACE, secretReference } from '@gigvault/config/secret';
import { crlConfig } from '@gigvault/crl/crl.config';
import { enrollConfig } from '@gigvault/enroll/enroll.config';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  apiAccessConfig,
  clientCertificatesConfig,
  publicTlsConfig,
  sharedConfig,
} from '@gigvault/host/process-config';
import { FILES, keymgrConfig, pkcs11Uri } from '@gigvault/keymgr/keymgr.config';
import { notifyConfig } from '@gigvault/notify/notify.config';
import { ocspConfig } from '@gigvault/ocsp/ocsp.config';
import { policyConfig } from '@gigvault/policy/policy.config';
import { raConfig } from '@gigvault/ra/ra.config';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { z } from 'zod';

/** The name of the key backend that `--hsm` configures. */
export const HSM = 'hsm';

const DATABASE_URL = `postgres://user:password@host:5432/gigvault, or the place of such a URL: ${SECRET_FORMS}`;
const port = z.int().min(0).max(65_535);

/** A section may be left out: its own defaults hold then. */
function section<C>(schema: z.ZodType<C>) {
  return z.prefault(schema, {} as never);
}

/** The configuration of `up`. A section for each service, by its name. */
export const gigvaultConfig = z
  .strictObject({
    ...sharedConfig,
    /** Default: /var/lib/gigvault for root, else the user's XDG data directory. */
    dataDir: z.string().min(1).optional(),
    /** A new PKI in a temporary directory, removed at the end. */
    ephemeral: z.boolean().default(false),
    /** A folder: the first start asks a root on another machine there, and takes what it has signed (docs/operations/offline-root.md). */
    offlineRoot: z.string().min(1).optional(),
    /** In production: the root is made here, and its key stays on this machine, encrypted. */
    onlineRoot: z.boolean().default(false),
    /** Keys are made in this token, a PKCS #11 URI (RFC 7512): short for `keymgr.backends.hsm` and `keymgr.backend: hsm` (docs/operations/hsm.md). */
    hsm: pkcs11Uri.optional(),
    /** One process per service instead of one for all. */
    split: z.boolean().default(false),
    /** Lets the key manager run in one process with services that face networks, in production. */
    singleNode: z.boolean().default(false),
    /** The address to listen on; `localhost` is both loopback addresses. */
    host: z.string().default('localhost'),
    https: z
      .strictObject({
        port: port.default(8443),
        ...apiAccessConfig,
        ...clientCertificatesConfig,
        ...publicTlsConfig,
      })
      .prefault({}),
    grpc: z
      .strictObject({
        /** mTLS gRPC between services. Default: 9543. */
        port: port.optional(),
        /** Keys over gRPC for people, `host:port` or `:port`, or `off`. Default: `:9443`, and none where `grpc.port` is given, as before there was this. */
        address: z
          .string()
          .regex(
            /^(off|([^:[\]]+|\[[0-9a-fA-F:.]+\])?:\d{1,5})$/,
            'host:port, :port for every host of "host", or off',
          )
          .refine((text) => text === 'off' || Number(text.split(':').at(-1)) <= 65_535, {
            message: 'must have a port from 0 to 65535',
          })
          .optional(),
      })
      .prefault({}),
    http: z.strictObject({ port: port.default(8080) }).prefault({}),
    /** What clients use. Default: `https://localhost:<https.port>`. */
    publicUrl: z.url().optional(),
    /** Stands inside certificates, so it is fixed when the issuers are made. Default: `http://localhost:<http.port>`. */
    status: z.strictObject({ publicUrl: z.url().optional() }).prefault({}),
    /** An external PostgreSQL (15 or later), see docs/operations/database.md. Default: the embedded one. */
    database: z
      .strictObject({
        url: z
          .string()
          .refine(
            (text) => /^postgres(ql)?:\/\/./.test(text) || secretReference.safeParse(text).success,
            DATABASE_URL,
          )
          .meta({ ...HIDDEN, ...SECRET_PLACE })
          .optional(),
      })
      .prefault({}),
    /** How secrets outside of this machine are reached (docs/operations/secrets.md). */
    secrets: secretsConfig,
    /** Passes every in-process message through the codec of the wire; tests switch it on. */
    encodeInProcess: z.boolean().default(false),
    auth: section(authConfig),
    policy: section(policyConfig),
    keymgr: section(keymgrConfig),
    ca: section(caConfig),
    ra: section(raConfig),
    enroll: section(enrollConfig),
    ocsp: section(ocspConfig),
    crl: section(crlConfig),
    audit: section(auditConfig),
    notify: section(notifyConfig),
  })
  .refine(({ https }) => https.clientCertificates === 'off' || https.clientAuthorities, {
    message: 'names the CAs that client certificates must come from: a PEM file',
    path: ['https', 'clientAuthorities'],
  })
  .refine((config) => !config.ephemeral || config.offlineRoot === undefined, {
    message: 'needs a data directory that stays: not with --ephemeral',
    path: ['offlineRoot'],
  })
  .refine(
    ({ hsm, keymgr: { backend, backends } }) =>
      hsm === undefined || (backend === FILES && !Object.hasOwn(backends, HSM)),
    {
      message: 'is short for keymgr.backends.hsm and keymgr.backend: not beside them',
      path: ['hsm'],
    },
  )
  .refine((config) => !config.onlineRoot || config.offlineRoot === undefined, {
    message: 'must not stand beside offlineRoot, which says the opposite',
    path: ['onlineRoot'],
  })
  .refine((config) => !config.ephemeral || config.dataDir === undefined, {
    message: 'not with --ephemeral, which is gone at the end',
    path: ['dataDir'],
  });

/** See gigvaultConfig. */
export type GigvaultConfig = z.infer<typeof gigvaultConfig>;

/** The key of each flag. */
export function flagKeys(): ReadonlyMap<string, string> {
  return new Map(singleKeys(gigvaultConfig).map((key) => [flagName(key), key]));
}

/** The key of a flag with a number, as `keymgr.backends.0.type` of `keymgr-backends-0-type`; undefined when there is none. */
export function numberedFlagKey(flag: string): string | undefined {
  const [, number] = /-(\d{1,3})-/.exec(flag) ?? [];
  if (number === undefined) return undefined;
  return numberedKeys(gigvaultConfig, number).find((key) => flagName(key) === flag);
}

/** Where the data lives; undefined for an ephemeral PKI. Errors: those of defaultDataDir. */
export function dataDirOf(
  config: Pick<GigvaultConfig, 'dataDir' | 'ephemeral'>,
): string | undefined {
  return config.ephemeral ? undefined : resolve(config.dataDir ?? defaultDataDir());
}

/** Where the data lives when nobody says otherwise. Errors: INVALID_ARGUMENT for a user without a home. */
function defaultDataDir(): string {
  if (process.getuid?.() === 0) return '/var/lib/gigvault';
  return join(processEnvironment['XDG_DATA_HOME'] || join(home(), '.local', 'share'), 'gigvault');
}

function home(): string {
  try {
    const found = homedir();
    if (isAbsolute(found)) return found;
  } catch {
    // Neither HOME nor a line in /etc/passwd: as in a container that runs as any number.
  }
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    'This user has no home. Say where the data is to lie with --data-dir.',
  );
}
