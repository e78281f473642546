import type { Log } from '@gigvault/telemetry/log';
import { type RenewDeps, renewResponder } from './renew-responder.ts';
import type { ResponderDirectory } from './responder-directory.ts';

/** What keeping needs. */
export interface KeepDeps extends RenewDeps {
  readonly responders: ResponderDirectory;
  readonly log: Log;
}

/** Takes the stored responders into service: they answer even when nothing else can be reached. */
export async function loadResponders(deps: Pick<KeepDeps, 'store' | 'responders'>): Promise<void> {
  for (const record of await deps.store.list()) deps.responders.put(record);
}

/**
 * Gives every public CA a responder certificate that is not past half of its life. One CA's failure does not stop the others; the first
 * is thrown at the end, so that the caller tries again soon.
 */
export async function keepResponders(deps: KeepDeps): Promise<void> {
  const stored = await deps.store.list();
  const failures: unknown[] = [];
  for (const issuer of await deps.authority.issuers()) {
    try {
      const current = stored.find((record) => record.issuerId === issuer.issuerId);
      const record = await renewResponder(deps, issuer, current);
      deps.responders.put(record);
      if (record !== current) {
        deps.log.info(
          { ca: issuer.issuerId, key_id: record.keyId },
          'new OCSP responder certificate',
        );
      }
    } catch (error) {
      deps.log.warn({ ca: issuer.issuerId, error }, 'no OCSP responder certificate');
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
