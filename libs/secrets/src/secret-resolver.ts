import {
  isLocalSecret,
  readLocalSecret,
  type SecretReference,
  type SecretResolver,
  wholeSecret,
} from '@gigvault/config/secret';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { awsCredentials } from './aws-client.ts';
import { awsParameter, awsSecret } from './aws-source.ts';
import { placeOf, type SecretPlace } from './secret-place.ts';
import type { SecretsConfig } from './secrets.config.ts';
import { vaultSecret } from './vault-source.ts';

/** Environment variables by name. */
type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Gives secrets by their places, and keeps none. A place outside of this machine is asked as the section `secrets` says; its client is loaded when it is
 * first needed.
 */
export function secretResolver(
  config: SecretsConfig,
  environment: Environment,
  clock: Clock = systemClock,
): SecretResolver {
  const local: SecretResolver = {
    resolve: async (reference) => readLocalSecret(reference, environment),
  };
  const aws = { ...config.aws, credentials: awsCredentials(config.aws.credentials, local) };
  return {
    async resolve(reference: SecretReference) {
      if (isLocalSecret(reference)) return local.resolve(reference);
      return wholeSecret(reference, await fetchSecret(placeOf(reference)));
    },
  };

  function fetchSecret(place: SecretPlace): Promise<string | undefined> {
    if (place.scheme === 'aws-sm') return awsSecret(aws, place, clock);
    if (place.scheme === 'aws-ssm') return awsParameter(aws, place, clock);
    if (config.vault !== undefined) return vaultSecret(config.vault, place, { environment, clock });
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The secret ${place.reference} cannot be had: secrets.vault.address and secrets.vault.token are not configured.`,
    );
  }
}
