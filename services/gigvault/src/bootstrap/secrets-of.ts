import { processEnvironment } from '@gigvault/config/process-environment';
import type { SecretResolver } from '@gigvault/config/secret';
import { secretResolver } from '@gigvault/secrets/secret-resolver';
import type { GigvaultConfig } from '../gigvault.config.ts';

/** Gives the secrets whose places a configuration names, as its section `secrets` says. */
export function secretsOf({ secrets }: Pick<GigvaultConfig, 'secrets'>): SecretResolver {
  return secretResolver(secrets, processEnvironment);
}
