import type { SecretReference, SecretResolver } from '@gigvault/config/secret';
import type { AwsConfig } from './secrets.config.ts';

/** Whoever AWS is asked as. */
interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** How AWS is reached, and as whom. What is absent is as AWS's own tools have it. */
export interface AwsConnection extends AwsConfig {
  readonly credentials?: (() => Promise<AwsCredentials>) | undefined;
  /** Its endpoints in FIPS mode. */
  readonly useFipsEndpoint?: boolean | undefined;
}

/** The places of credentials. */
export interface AwsCredentialPlaces {
  readonly accessKeyId: string;
  readonly secretAccessKey: SecretReference;
  readonly sessionToken?: SecretReference | undefined;
}

/** Reads credentials from their places, each time that a client asks for them. The secret key is in the heap only while a request is signed. Undefined for undefined: AWS's own chain. */
export function awsCredentials(
  places: AwsCredentialPlaces | undefined,
  secrets: SecretResolver,
): (() => Promise<AwsCredentials>) | undefined {
  if (places === undefined) return undefined;
  const { accessKeyId, secretAccessKey, sessionToken } = places;
  return async () => {
    const secret = Buffer.from(await secrets.resolve(secretAccessKey));
    return {
      accessKeyId,
      // The client keeps what it gets as long as it lives: octets outside of the heap, of which each signature makes a text for itself (T66).
      get secretAccessKey() {
        return secret.toString();
      },
      ...(sessionToken && { sessionToken: await secrets.resolve(sessionToken) }),
    };
  };
}

/** What every client of AWS is made with. @param deadline milliseconds for one attempt, with its wait for a connection; whoever asks bounds all of them */
export function awsClientOptions(connection: AwsConnection, deadline: number) {
  const { region, endpoint, credentials, useFipsEndpoint } = connection;
  return {
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(useFipsEndpoint === undefined ? {} : { useFipsEndpoint }),
    maxAttempts: 3,
    requestHandler: {
      requestTimeout: deadline,
      throwOnRequestTimeout: true,
    },
  };
}

/** What AWS, or its client, calls an error: as `ThrottlingException`, `CredentialsProviderError`, `ECONNREFUSED`. */
export function awsErrorName(error: unknown): string {
  const { name, code } = error as { name?: string; code?: string };
  return code ?? name ?? 'unknown error';
}

/** True for an error that AWS's own documents call an access that is denied, or credentials that are none. */
export function isAccessDenied(error: unknown): boolean {
  return /AccessDenied|NotAuthorized|UnrecognizedClient|InvalidClientTokenId|IncompleteSignature|InvalidSignature|SignatureDoesNotMatch|ExpiredToken|MissingAuthenticationToken|OptInRequired/.test(
    (error as Error).name,
  );
}
