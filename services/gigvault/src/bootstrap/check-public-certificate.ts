import { processSecrets } from '@gigvault/secrets/process-secrets';
import { systemClock } from '@gigvault/time/clock';
import { configuredCertificate, readConfiguredTls } from '../edge/configured-certificate.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';

/** Refuses a certificate of another CA that the public listener could not have, before anything is started. Errors: those of readConfiguredTls. */
export async function checkPublicCertificate(config: GigvaultConfig): Promise<void> {
  const around = { secrets: processSecrets(config), clock: systemClock };
  const configured = configuredCertificate(config.https.tls, around);
  if (configured !== undefined) await readConfiguredTls(configured);
}
