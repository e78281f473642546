import { durableStep } from '@gigvault/telemetry/durable-step';
import type { IssuerSource, IssuerStore } from '../ports/issuer-source.ts';

/** What following needs. */
export interface FollowDeps {
  readonly source: IssuerSource;
  readonly store: IssuerStore;
  /** Told when a CA or shard is new or changed: its CRL is due. */
  changed(): void;
}

/** Remembers the CAs of `ca` with their shards. */
export async function followIssuers(deps: FollowDeps): Promise<void> {
  const issuers = await deps.source.issuers();
  if (await durableStep('crl.issuers', () => deps.store.save(issuers))) deps.changed();
}
