import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Issuer, IssuerSource, IssuerStore } from '../ports/issuer-source.ts';
import type { ShardKey } from '../ports/shard.ts';
import type { ServedCrls } from '../serving/served-crls.ts';

/** What following needs. */
export interface FollowDeps {
  readonly source: IssuerSource;
  readonly store: IssuerStore;
  readonly served: Pick<ServedCrls, 'expect' | 'complete'>;
  /** Told when a CA or shard is new or changed: its CRL is due. */
  changed(): void;
}

/** Remembers the CAs of `ca` with their shards. */
export async function followIssuers(deps: FollowDeps): Promise<void> {
  const issuers = await deps.source.issuers();
  deps.served.expect(issuers.flatMap(shardsOf));
  deps.served.complete();
  if (await durableStep('crl.issuers', () => deps.store.save(issuers))) deps.changed();
}

function shardsOf({ issuerId, crlShards }: Issuer): ShardKey[] {
  return Array.from({ length: crlShards }, (_, crlShard) => ({ issuerId, crlShard }));
}
