import type { Client } from 'pg';

/** Milliseconds for which a process may not have heard of a switch, and clocks of two tables may differ. */
const UNHEARD = 5_000;

/** The issuers whose certificates OCSP answers for. */
export async function answeredIssuers(database: Client): Promise<ReadonlySet<string>> {
  const { rows } = await database.query<{ issuer_id: string }>(
    "SELECT issuer_id FROM ca.issuer WHERE public AND state <> 'retired'",
  );
  return new Set(rows.map((row) => row.issuer_id));
}

/**
 * What is wrong with the keys of a CA: not one of them current; one that issued before OCSP and CRLs were ready for it, after another had taken its
 * place, or whose move nobody told of. A responder's own certificate is issued by any of them.
 */
export async function checkIssuers(database: Client): Promise<string[]> {
  const findings: string[] = [];
  const none = async (what: string, sql: string) => {
    const { rows } = await database.query<{ id: string }>(sql);
    for (const row of rows) findings.push(`${what}: ${row.id}`);
  };
  await none(
    'CA without exactly one current key',
    `SELECT coalesce(line, issuer_id) AS id FROM ca.issuer GROUP BY 1 HAVING count(*) FILTER (WHERE state = 'current') <> 1`,
  );
  const switched = `SELECT subject, occurred_at, convert_from(data, 'UTF8')::json ->> 'from' AS old FROM ca.outbox WHERE type = 'issuer.switched'`;
  await none(
    'current key that nobody told of',
    `SELECT issuer_id AS id FROM ca.issuer WHERE generation > 1 AND state <> 'prepared'
       AND (SELECT count(*) FROM (${switched}) s WHERE subject = issuer_id) <> 1`,
  );
  await none(
    'certificate of a key that was not current yet',
    `SELECT i.serial_number AS id FROM ca.intent i JOIN ca.issuer USING (issuer_id) LEFT JOIN (${switched}) s ON s.subject = issuer_id
     WHERE generation > 1 AND profile <> 'ocsp-signer' AND (s.occurred_at IS NULL OR i.created_at < s.occurred_at - ${UNHEARD})`,
  );
  await none(
    'certificate of a key that was not current any more',
    `SELECT i.serial_number AS id FROM ca.intent i JOIN (${switched}) s ON s.old = i.issuer_id
     WHERE profile <> 'ocsp-signer' AND i.created_at > s.occurred_at + ${UNHEARD}`,
  );
  return findings;
}
