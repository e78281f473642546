import { homedir } from 'node:os';
import { join } from 'node:path';
import { processEnvironment } from '@gigvault/config/process-environment';
import { leafKeys } from '@gigvault/config/schema-keys';
import { apiAccessConfig, sharedConfig } from '@gigvault/host/process-config';
import { z } from 'zod';
import { SERVICES } from './composition/services.ts';

const port = z.int().min(0).max(65_535);

/** A section may be left out: its own defaults hold then. */
function section<C>(schema: z.ZodType<C>) {
  return z.prefault(schema, {} as never);
}

/** The configuration of `up`. A section for each service, by its name. */
export const gigvaultConfig = z.strictObject({
  ...sharedConfig,
  /** Default: /var/lib/gigvault for root, else the user's XDG data directory. */
  dataDir: z.string().optional(),
  /** A new PKI in a temporary directory, removed at the end. */
  ephemeral: z.boolean().default(false),
  /** One process per service instead of one for all. */
  split: z.boolean().default(false),
  /** Lets the key manager run in one process with services that face networks, in production. */
  singleNode: z.boolean().default(false),
  /** The address to listen on; `localhost` is both loopback addresses. */
  host: z.string().default('localhost'),
  https: z.strictObject({ port: port.default(8443), ...apiAccessConfig }).prefault({}),
  grpc: z.strictObject({ port: port.default(9443) }).prefault({}),
  http: z.strictObject({ port: port.default(8080) }).prefault({}),
  /** What clients use. Default: `https://localhost:<https.port>`. */
  publicUrl: z.url().optional(),
  /** Stands inside certificates, so it is fixed when the issuers are made. Default: `http://localhost:<http.port>`. */
  status: z.strictObject({ publicUrl: z.url().optional() }).prefault({}),
  /** An external PostgreSQL (16 or later) whose user may create roles. Default: the embedded one. */
  database: z.strictObject({ url: z.url({ protocol: /^postgres(ql)?$/ }).optional() }).prefault({}),
  /** Passes every in-process message through the codec of the wire; tests switch it on. */
  encodeInProcess: z.boolean().default(false),
  auth: section(SERVICES.auth.config),
  policy: section(SERVICES.policy.config),
  keymgr: section(SERVICES.keymgr.config),
  ca: section(SERVICES.ca.config),
  ra: section(SERVICES.ra.config),
  enroll: section(SERVICES.enroll.config),
  ocsp: section(SERVICES.ocsp.config),
  crl: section(SERVICES.crl.config),
  audit: section(SERVICES.audit.config),
  notify: section(SERVICES.notify.config),
});

/** See gigvaultConfig. */
export type GigvaultConfig = z.infer<typeof gigvaultConfig>;

/** `https.port` → `https-port`, `ra.http01Port` → `ra-http01-port`: the flag of a key. */
export function flagName(key: string): string {
  return key
    .replaceAll('.', '-')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase();
}

/** The key of each flag. */
export function flagKeys(): ReadonlyMap<string, string> {
  return new Map(leafKeys(gigvaultConfig).map((key) => [flagName(key), key]));
}

/** Where the data lives when nobody says otherwise. */
export function defaultDataDir(): string {
  if (process.getuid?.() === 0) return '/var/lib/gigvault';
  return join(
    processEnvironment['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'),
    'gigvault',
  );
}
