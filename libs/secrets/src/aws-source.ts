import type { Clock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import {
  type AwsConnection,
  awsClientOptions,
  awsErrorName,
  isAccessDenied,
} from './aws-client.ts';
import type { SecretPlace } from './secret-place.ts';
import { memberOf, refused, SECRET_TIME, unreachable } from './secret-refusal.ts';

/** Of Secrets Manager and of Parameter Store. */
const NOT_THERE = /^(ResourceNotFoundException|ParameterNotFound|ParameterVersionNotFound)$/;
/** Said of a secret that waits for its deletion, of a name that cannot be, of a field that is not there. */
const NO_SECRET =
  /^(InvalidRequestException|InvalidParameterException|ValidationException|InvalidKeyId)$/;

/**
 * A secret of Secrets Manager: `aws-sm://<name or ARN>?version=<id>#<field of JSON>`, or `?stage=AWSPREVIOUS`. Undefined: there is none.
 * Errors: INVALID_ARGUMENT, UNAVAILABLE.
 */
export async function awsSecret(
  connection: AwsConnection,
  place: SecretPlace,
  clock: Clock,
): Promise<string | undefined> {
  // Its client is large, and most installations keep their secrets elsewhere.
  const { GetSecretValueCommand, SecretsManagerClient } = await import(
    '@aws-sdk/client-secrets-manager'
  );
  const client = new SecretsManagerClient(awsClientOptions(connection, SECRET_TIME));
  const asked = new GetSecretValueCommand({
    SecretId: place.name,
    VersionId: place.version,
    VersionStage: place.stage,
  });
  const found = await ask(place, clock, client, (options) => client.send(asked, options));
  if (found === undefined) return undefined;
  const octets = found.SecretBinary;
  const text = found.SecretString ?? (octets && Buffer.from(octets).toString('utf8'));
  return text === undefined ? undefined : memberOf(place, text);
}

/**
 * A parameter of Parameter Store, decrypted: `aws-ssm:///path/name?version=<n>`. Undefined: there is none.
 * Errors: INVALID_ARGUMENT, UNAVAILABLE.
 */
export async function awsParameter(
  connection: AwsConnection,
  place: SecretPlace,
  clock: Clock,
): Promise<string | undefined> {
  const { GetParameterCommand, SSMClient } = await import('@aws-sdk/client-ssm');
  const client = new SSMClient(awsClientOptions(connection, SECRET_TIME));
  const { name, version } = place;
  const asked = new GetParameterCommand({
    Name: version === undefined ? name : `${name}:${version}`,
    WithDecryption: true,
  });
  const found = await ask(place, clock, client, (options) => client.send(asked, options));
  return found?.Parameter?.Value;
}

/** Runs one request to its end, and lets go of the client with its credentials. */
async function ask<T>(
  place: SecretPlace,
  clock: Clock,
  client: { destroy(): void },
  send: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
): Promise<T | undefined> {
  const asking = new AbortController();
  const late = `AWS did not answer within ${SECRET_TIME} ms`;
  try {
    return await within(clock, SECRET_TIME, send({ abortSignal: asking.signal }), late);
  } catch (error) {
    const name = awsErrorName(error);
    if (NOT_THERE.test(name)) return undefined;
    if (isAccessDenied(error))
      throw refused(place, `AWS says ${name}: these credentials may not read it`);
    if (/Credentials?ProviderError/.test(name))
      throw refused(place, 'there are no credentials for AWS');
    if (/Region is missing/.test((error as Error).message))
      throw refused(place, 'secrets.aws.region is not set');
    if (NO_SECRET.test(name)) throw refused(place, `AWS says ${name}`);
    throw unreachable(place, name === 'Error' ? (error as Error).message : name, error);
  } finally {
    asking.abort();
    client.destroy();
  }
}
