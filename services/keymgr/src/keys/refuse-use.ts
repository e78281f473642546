import type { ErrorCode } from '@gigvault/errors/error-table';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import type { KeyUsage, KeyUse } from '../ports/key-usage.ts';

/** What refusing needs. */
export interface RefusalDeps {
  readonly usage: KeyUsage;
  readonly log: Log;
}

/** Logs and records a refusal; the caller throws what comes back. */
export async function refuseUse(
  deps: RefusalDeps,
  keyId: string,
  { purpose, caller }: Pick<KeyUse, 'purpose' | 'caller'>,
  reason: string,
  code: ErrorCode = 'KEY_USE_REFUSED',
): Promise<GigvaultError> {
  const use = { keyId, purpose: purpose.slice(0, 32), caller };
  deps.log.warn(
    { key_id: keyId, operation: 'use-key', purpose: use.purpose, peer: caller, outcome: reason },
    'use of a key refused',
  );
  await deps.usage.refused(use, reason);
  // No key is named where a backend is.
  return keyId === '*'
    ? new GigvaultError(code, `Refused: ${reason}.`, { details: { purpose: use.purpose } })
    : new GigvaultError(code, `Key '${keyId}' refused: ${reason}.`, {
        details: { key_id: keyId, purpose: use.purpose },
      });
}

/** Why somebody may neither make keys there nor use them. */
export function notForRoles(backend: string): string {
  return `the backend ${backend} is not for their roles`;
}
