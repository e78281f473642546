import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  configFolder,
  readContexts,
  writeContexts,
  writePrivateFile,
} from '@gigvault/cli/context/contexts-file';
import { processEnvironment } from '@gigvault/config/process-environment';

/** The context that `up` owns. */
const NAME = 'local';

/**
 * Lets the `gigvault` command of whoever ran `up` work at once: a context of mode 0600 with a credential that `up`
 * replaces at every start. It becomes the current context unless another one is.
 */
export async function writeCliContext(options: {
  readonly publicUrl: string;
  readonly rootCertificate: string;
  readonly apiKey: string;
  readonly environment: 'development' | 'production';
  /** SubjectPublicKeyInfo, DER. */
  readonly auditPublicKey: Buffer;
}): Promise<void> {
  const folder = configFolder({ env: processEnvironment, homeDir: homedir() });
  const file = await readContexts(folder);
  const root = readFileSync(options.rootCertificate, 'utf8');
  const apiKeyFile = join('contexts', NAME, 'api-key');
  await writePrivateFile(join(folder, apiKeyFile), options.apiKey);
  await writeContexts(folder, {
    current: file.current === '' ? NAME : file.current,
    contexts: {
      ...file.contexts,
      [NAME]: {
        server: options.publicUrl,
        caFile: options.rootCertificate,
        rootFingerprint: new X509Certificate(root).fingerprint256.replaceAll(':', '').toLowerCase(),
        apiKeyFile,
        environment: options.environment,
        auditPublicKey: options.auditPublicKey.toString('base64'),
      },
    },
  });
}
