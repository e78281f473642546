import { processEnvironment } from '@gigvault/config/process-environment';
import type { SecretResolver } from '@gigvault/config/secret';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { secretResolver } from './secret-resolver.ts';
import type { SecretsConfig } from './secrets.config.ts';

/** Of samples in documentation, and PINs that tokens come with: YubiKey PIV, SmartCard-HSM. */
const SAMPLES = new Set(['1234', '12345678', '123456', '648219', 'changeme', 'test-api-key']);

/** Gives the secrets of this process. Outside of development a sample is none (requirement X20): INVALID_ARGUMENT naming its place. */
export function processSecrets(config: {
  readonly secrets: SecretsConfig;
  readonly environment: 'development' | 'production';
}): SecretResolver {
  const resolver = secretResolver(config.secrets, processEnvironment);
  return config.environment === 'development' ? resolver : withoutSamples(resolver);
}

function withoutSamples(resolver: SecretResolver): SecretResolver {
  return {
    async resolve(reference) {
      const secret = await resolver.resolve(reference);
      if (!SAMPLES.has(secret)) return secret;
      throw new GigvaultError(
        'INVALID_ARGUMENT',
        `The secret ${reference} is one that everybody knows, which is refused in production. Change it there and at what it opens.`,
      );
    },
  };
}
