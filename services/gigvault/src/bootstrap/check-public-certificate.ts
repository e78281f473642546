import { processSecrets } from '@gigvault/secrets/process-secrets';
import { systemClock } from '@gigvault/time/clock';
import {
  configuredCertificate,
  readConfiguredTls,
  readConfiguredTlsAtStart,
  whatExpired,
} from '../edge/configured-certificate.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';

/** Refuses a certificate of another CA that the public listener could not have. Errors: those of readConfiguredTls. */
export async function checkPublicCertificate(config: GigvaultConfig): Promise<void> {
  const configured = configuredOf(config);
  if (configured !== undefined) await readConfiguredTls(configured);
}

/**
 * The same before anything is started, which an expired one does not stop. Returns which file's certificate has expired, and when. Errors: those of
 * readConfiguredTlsAtStart.
 */
export async function checkPublicCertificateAtStart(
  config: GigvaultConfig,
): Promise<string | undefined> {
  const configured = configuredOf(config);
  if (configured === undefined) return undefined;
  await readConfiguredTlsAtStart(configured);
  const expired = whatExpired(configured);
  return expired && `${configured.certificateFile}: ${expired}`;
}

function configuredOf(config: GigvaultConfig) {
  const around = { secrets: processSecrets(config), clock: systemClock };
  return configuredCertificate(config.https.tls, around);
}
