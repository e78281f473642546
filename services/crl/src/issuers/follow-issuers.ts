import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Issuer, IssuerSource, IssuerStore } from '../ports/issuer-source.ts';
import type { ServedCrls } from '../serving/served-crls.ts';

/** What following needs. */
export interface FollowDeps {
  readonly source: IssuerSource;
  readonly store: IssuerStore;
  readonly served: Pick<ServedCrls, 'expect' | 'complete' | 'get'>;
  /** Told when a CA or shard is new or changed: its CRL is due. */
  changed(): void;
}

/** Milliseconds between two looks whether the CRLs of a new CA are there. */
const SOON = 200;

/**
 * Remembers the CAs of `ca` with their shards, and confirms a prepared one once its CRLs are served here: nobody finds a certificate without one.
 * Returns the milliseconds until the next look when one is awaited.
 */
export async function followIssuers(deps: FollowDeps): Promise<number | undefined> {
  const issuers = await deps.source.issuers();
  deps.served.expect(issuers.flatMap(shardsOf));
  deps.served.complete();
  if (await durableStep('crl.issuers', () => deps.store.save(issuers))) deps.changed();
  let awaited = false;
  for (const issuer of issuers.filter(({ prepared }) => prepared)) {
    const isServed = shardsOf(issuer).every(
      ({ issuerId, crlShard }) => deps.served.get(issuerId, crlShard) !== undefined,
    );
    if (isServed) await deps.source.confirm(issuer.issuerId);
    else awaited = true;
  }
  return awaited ? SOON : undefined;
}

function shardsOf({ issuerId, crlShards, endsAt, prepared }: Issuer) {
  return Array.from({ length: crlShards }, (_, crlShard) => ({
    issuerId,
    crlShard,
    endsAt,
    prepared,
  }));
}
