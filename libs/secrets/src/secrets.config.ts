import { localSecretReference } from '@gigvault/config/secret';
import { z } from 'zod';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** An address to which secrets may be sent and from which they may come: TLS, or this machine. */
const guardedUrl = z
  .url({ protocol: /^https?$/ })
  .refine(
    (text) => text.startsWith('https:') || LOOPBACK.test(new URL(text).hostname),
    'https://…; http:// for this machine only',
  );

/** How AWS is reached. What is absent is as AWS's own tools have it: AWS_REGION, ~/.aws, the role of the machine … */
export const awsConfig = z.strictObject({
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region, as eu-central-1')
    .optional(),
  /** Another address than the region's, as that of a VPC endpoint. */
  endpoint: guardedUrl.optional(),
});

/** See awsConfig. */
export type AwsConfig = z.infer<typeof awsConfig>;

/** Whoever AWS is asked as, when that is not what AWS's own tools find. @param place of its secrets */
export function awsCredentialsConfig<P extends z.ZodType>(place: P) {
  return z.strictObject({
    accessKeyId: z.string().regex(/^\w{16,128}$/, 'an access key id'),
    secretAccessKey: place,
    sessionToken: place.optional(),
  });
}

/** HashiCorp Vault or OpenBao, with secrets in a KV engine of version 2. */
const vaultConfig = z.strictObject({
  /** As `https://vault.example:8200`. */
  address: guardedUrl,
  /** Where the token is. The file is read at each use: an agent may renew it. */
  token: localSecretReference,
  namespace: z.string().min(1).optional(),
  /** PEM file: who signs its certificate, when that is none of the public CAs. Absolute. */
  caFile: z.string().startsWith('/').optional(),
});

/** See vaultConfig. */
export type VaultConfig = z.infer<typeof vaultConfig>;

/** Secrets Manager and Parameter Store. */
const secretsAwsConfig = awsConfig.extend({
  /** Its secrets are on this machine, and read at each use. */
  credentials: awsCredentialsConfig(localSecretReference).optional(),
});

/** Section `secrets` of the configuration: how the places of secrets outside of this machine are reached. */
export const secretsConfig = z
  .strictObject({ vault: vaultConfig.optional(), aws: secretsAwsConfig.prefault({}) })
  .prefault({});

/** The parsed section. */
export type SecretsConfig = z.infer<typeof secretsConfig>;
