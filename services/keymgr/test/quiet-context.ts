import { secretResolver } from '@gigvault/secrets/secret-resolver';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import type { KeymgrContext } from '../src/open-keymgr.ts';

/** What a keymgr is opened with, beside its configuration, directory and database: the machine's clock, no log, no secrets from elsewhere. */
export function quietContext(
  of: Pick<KeymgrContext, 'config' | 'dataDir' | 'database'>,
): KeymgrContext {
  return {
    ...of,
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    secrets: secretResolver(secretsConfig.parse({}), {}),
  };
}
