import { createHash } from 'node:crypto';
import { readCertList } from '@gigvault/x509/crl';
import { readPublicKey } from '@gigvault/x509/public-key';
import { signatureAlgorithm, verifySignature } from '@gigvault/x509/signature';
import type { Client } from 'pg';
import type { AuditedSignature } from './audit.ts';

interface SignatureRow {
  intent_id: string;
  /** Unix milliseconds, as text; of the certificate's intent null when there is none. */
  signed_at: string;
  intended_at: string | null;
  tbs_sha256: Buffer;
  signature: Buffer;
  spki: Buffer;
  /** The bytes of the certificate's intent, or of a CRL's that is not published. */
  tbs: Buffer | null;
  /** The published CRL. */
  crl: Buffer | null;
}

/** Every recorded signature of a CA key is audited, belongs to an intent, is over the intent's bytes, and verifies. */
export async function checkSignatures(
  database: Client,
  audited: ReadonlyMap<string, AuditedSignature>,
): Promise<string[]> {
  const { rows } = await database.query<SignatureRow>(
    `SELECT s.intent_id, s.tbs_sha256, s.signature, k.spki,
            floor(extract(epoch FROM s.created_at) * 1000) AS signed_at, i.created_at AS intended_at,
            coalesce(i.tbs, CASE c.status WHEN 'intended' THEN p.octets END) AS tbs,
            CASE c.status WHEN 'published' THEN p.octets END AS crl
     FROM keymgr.signature s JOIN keymgr.key k USING (key_id)
     LEFT JOIN ca.intent i ON i.intent_id = s.intent_id LEFT JOIN crl.crl c ON c.intent_id = s.intent_id
     LEFT JOIN LATERAL (SELECT string_agg(coalesce(part.octets, run.octets), ''::bytea ORDER BY part_no) AS octets
                          FROM crl.crl_part part LEFT JOIN crl.crl_run run USING (run_id)
                         WHERE intent_id = s.intent_id) p ON true
     WHERE NOT s.tombstoned AND 'certSign' = ANY (k.purposes)`,
  );
  return rows.flatMap((row) => {
    const event = audited.get(row.intent_id);
    if (event?.tbsSha256 !== row.tbs_sha256.toString('hex'))
      return [`signature that is not audited: ${row.intent_id}`];
    if (row.intended_at !== null && Number(row.signed_at) < Number(row.intended_at))
      return [`signature that is older than its intent: ${row.intent_id}`];
    const tbs = row.tbs ?? (row.crl && readCertList(row.crl).tbs);
    if (tbs) return checkSignature(row, tbs);
    // CRLs that newer ones have replaced are deleted after a while.
    return event.purpose === 'crlSign' ? [] : [`signature without an intent: ${row.intent_id}`];
  });
}

function checkSignature(row: SignatureRow, tbs: Buffer): string[] {
  if (!createHash('sha256').update(tbs).digest().equals(row.tbs_sha256))
    return [`signature over other bytes than the intent's: ${row.intent_id}`];
  const key = readPublicKey(row.spki);
  return verifySignature(key.keyObject, signatureAlgorithm(key.keyType), tbs, row.signature)
    ? []
    : [`signature does not verify: ${row.intent_id}`];
}
