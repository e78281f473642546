import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecretReference, SecretResolver } from '@gigvault/config/secret';
import { draftFile } from '@gigvault/files/durable-file';
import { awsKmsKeyStore } from '@gigvault/keystore/aws-kms/aws-kms-key-store';
import type { KeyStore } from '@gigvault/keystore/key-store';
import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { pkcs11KeyStore } from '@gigvault/keystore/pkcs11/pkcs11-key-store';
import { type Pkcs11Uri, parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';
import { tpm2KeyStore } from '@gigvault/keystore/tpm2-key-store';
import { awsCredentials } from '@gigvault/secrets/aws-client';
import type { Log } from '@gigvault/telemetry/log';
import type { BackendConfig } from '../keymgr.config.ts';

/** A backend that may hold a process, or connections. */
export type Closeable = KeyStore & { close?(): Promise<void> };

interface Surroundings {
  readonly log: Log;
  readonly secrets: SecretResolver;
  readonly dataDir: string;
}

type Config<T extends BackendConfig['type']> = Extract<BackendConfig, { type: T }>;

/** Opens a backend of the configuration; nothing is asked of it yet. Errors: INVALID_ARGUMENT for a URI that cannot be, or a library that is not there. */
export async function openBackend(
  backend: string,
  config: BackendConfig,
  around: Surroundings,
): Promise<Closeable> {
  if (config.type === 'memory') return memoryKeyStore(backend);
  const store =
    config.type === 'aws-kms'
      ? await openAwsKms(config, around)
      : openToken(backend, config, around);
  return { ...store, backend };
}

function openToken(
  backend: string,
  config: Config<'pkcs11' | 'tpm2'>,
  { log, secrets, dataDir }: Surroundings,
): Closeable {
  const options = {
    backend,
    secrets,
    // Whoever asks for a signature here has it verified: src/signing/to-be-signed.ts says by whom.
    verify: false,
    report: (event: 'opened' | 'lost', message: string) =>
      log[event === 'lost' ? 'error' : 'info']({ backend, operation: 'token' }, message),
  };
  if (config.type === 'pkcs11') {
    const { sessions } = config;
    const some = sessions === undefined ? {} : { sessions };
    return pkcs11KeyStore({ ...options, ...some, uri: tokenOf(config) });
  }
  const { token, device, modulePath, pin } = config;
  return tpm2KeyStore({
    ...options,
    token,
    modulePath,
    pinSource: pin,
    tcti: config.tcti ?? `device:${device}`,
    directory: config.directory ?? join(dataDir, 'tpm2'),
  });
}

/** However it was written; the schema has seen that all of it is there. */
function tokenOf({ uri, library, token, slotId, pin }: Config<'pkcs11'>): Pkcs11Uri {
  if (uri !== undefined) return parsePkcs11Uri(uri);
  return {
    token: {
      ...(token === undefined ? {} : { token }),
      ...(slotId === undefined ? {} : { slotId }),
    },
    modulePath: library as string,
    pinSource: pin as SecretReference,
  };
}

async function openAwsKms(
  config: Config<'aws-kms'>,
  { secrets, dataDir }: Surroundings,
): Promise<Closeable> {
  const { region, endpoint, fips, credentials, deletionDays } = config;
  return awsKmsKeyStore({
    connection: {
      region,
      endpoint,
      useFipsEndpoint: fips,
      credentials: awsCredentials(credentials, secrets),
    },
    instance: await instanceOf(join(dataDir, 'aws-kms-instance')),
    deletionDays,
  });
}

/** What tells this installation's keys from those of others in the same account: made once, no secret. */
async function instanceOf(path: string): Promise<string> {
  const read = () => readFile(path, 'utf8').catch(ifMissing);
  const known = await read();
  if (known !== undefined) return known.trim();
  await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
  const draft = await draftFile(path, `${randomUUID()}\n`, 0o600);
  // Another process may have been first: then its answer holds.
  await draft.create().catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return ((await read()) as string).trim();
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
