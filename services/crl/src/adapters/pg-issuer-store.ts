import { transaction } from '@gigvault/database/transaction';
import type { Pool, PoolClient } from 'pg';
import type { Issuer, IssuerStore } from '../ports/issuer-source.ts';

/** CAs in table `issuer`, their shards in table `shard`. */
export function pgIssuerStore(pool: Pool): IssuerStore {
  return {
    save: (issuers) =>
      transaction(pool, async (client) => {
        let changed = false;
        for (const issuer of issuers) changed = (await save(client, issuer)) || changed;
        return changed;
      }),
  };
}

async function save(client: PoolClient, issuer: Issuer): Promise<boolean> {
  const { rowCount: changes } = await client.query(
    `INSERT INTO issuer AS i (issuer_id, certificate, key_id, crl_base_url, ends_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (issuer_id) DO UPDATE
       SET certificate = EXCLUDED.certificate, key_id = EXCLUDED.key_id, crl_base_url = EXCLUDED.crl_base_url,
           ends_at = EXCLUDED.ends_at
     WHERE (i.certificate, i.key_id, i.crl_base_url, i.ends_at)
       IS DISTINCT FROM (EXCLUDED.certificate, EXCLUDED.key_id, EXCLUDED.crl_base_url, EXCLUDED.ends_at)`,
    [issuer.issuerId, issuer.certificate, issuer.keyId, issuer.crlBaseUrl, issuer.endsAt ?? null],
  );
  const { rowCount: added } = await client.query(
    `INSERT INTO shard (issuer_id, crl_shard) SELECT $1, generate_series(0, $2::integer - 1)
     ON CONFLICT (issuer_id, crl_shard) DO NOTHING`,
    [issuer.issuerId, issuer.crlShards],
  );
  return (changes ?? 0) + (added ?? 0) > 0;
}
