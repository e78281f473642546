import { query } from '@gigvault/database/query';
import type { Pool } from 'pg';
import type { ResponderStore } from '../ports/responder-store.ts';

interface ResponderRow {
  readonly issuer_id: string;
  readonly issuer_certificate: Buffer;
  readonly certificate: Buffer;
  readonly key_id: string;
  readonly not_before: string;
  readonly not_after: string;
}

/** Responder certificates in table `responder`. */
export function pgResponderStore(pool: Pool): ResponderStore {
  return {
    async list() {
      const { rows } = await query<ResponderRow>(
        pool,
        'SELECT issuer_id, issuer_certificate, certificate, key_id, not_before, not_after FROM responder',
      );
      return rows.map((row) => ({
        issuerId: row.issuer_id,
        issuerCertificate: row.issuer_certificate,
        certificate: row.certificate,
        keyId: row.key_id,
        notBefore: Number(row.not_before),
        notAfter: Number(row.not_after),
      }));
    },
    async save(record, replaced) {
      await query(pool, {
        text: `INSERT INTO responder AS r (issuer_id, issuer_certificate, certificate, key_id, not_before, not_after)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (issuer_id) DO UPDATE
           SET issuer_certificate = EXCLUDED.issuer_certificate, certificate = EXCLUDED.certificate,
               key_id = EXCLUDED.key_id, not_before = EXCLUDED.not_before, not_after = EXCLUDED.not_after
         WHERE r.certificate = $7`,
        values: [
          record.issuerId,
          record.issuerCertificate,
          record.certificate,
          record.keyId,
          record.notBefore,
          record.notAfter,
          replaced,
        ],
      });
    },
    async remove(issuerId) {
      await query(pool, {
        text: 'DELETE FROM responder WHERE issuer_id = $1',
        values: [issuerId],
      });
    },
  };
}
