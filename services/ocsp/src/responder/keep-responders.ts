import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Log } from '@gigvault/telemetry/log';
import type { Issuer } from '../ports/responder-authority.ts';
import type { ResponderRecord } from '../ports/responder-store.ts';
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

function announce(log: Log, record: ResponderRecord, before: ResponderRecord | undefined): void {
  const fields = { ca: record.issuerId, key_id: record.keyId };
  if (before === undefined || before.keyId === record.keyId)
    log.info(fields, 'new OCSP responder certificate');
  else log.warn(fields, 'the OCSP responder certificate was revoked: new key and certificate');
}

/** What is over needs no answers, and its responder certificate could not be renewed. */
async function dropRetired(
  { store, responders, log }: KeepDeps,
  stored: readonly ResponderRecord[],
  issuers: readonly Issuer[],
): Promise<void> {
  for (const { issuerId } of stored) {
    if (issuers.some((issuer) => issuer.issuerId === issuerId)) continue;
    await durableStep('ocsp.retired', () => store.remove(issuerId));
    responders.remove(issuerId);
    log.info({ ca: issuerId }, 'a CA has retired: there is no OCSP for it any more');
  }
}

/**
 * Gives every public CA a responder certificate that is valid, not revoked and not past half of its life, confirms the CAs that wait for that, and drops those that have retired. One CA's failure does not stop the others; the first
 * is thrown at the end, so that the caller tries again soon.
 */
export async function keepResponders(deps: KeepDeps): Promise<void> {
  const stored = await deps.store.list();
  const issuers = await deps.authority.issuers();
  deps.responders.expect(issuers.map(({ certificate }) => certificate));
  await dropRetired(deps, stored, issuers);
  const failures: unknown[] = [];
  for (const issuer of issuers) {
    try {
      const current = stored.find((record) => record.issuerId === issuer.issuerId);
      const record = await renewResponder(deps, issuer, current);
      deps.responders.put(record);
      if (record !== current) announce(deps.log, record, current);
      if (issuer.prepared) await deps.authority.confirm(issuer.issuerId);
    } catch (error) {
      deps.log.warn({ ca: issuer.issuerId, error }, 'no OCSP responder certificate');
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
