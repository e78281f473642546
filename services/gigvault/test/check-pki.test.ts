import type { Acknowledged } from '@gigvault/testkit/check/acknowledged';
import { checkPki, checkRecords, connect } from '@gigvault/testkit/check-pki';
import { readCertificate } from '@gigvault/x509/certificate';
import { fromPem } from '@gigvault/x509/pem';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from 'pg';
import { QUICK_CRL, startAcmeClient, usePki } from './use-pki.ts';

/** A fault: what is changed in the database, and what the check must then say. */
type Plant = readonly [name: string, sql: string, finding: RegExp];

/** The certificate of `planted.localhost`, which is valid. */
const ITS =
  "(SELECT serial_number FROM ca.certificate WHERE 'dns:planted.localhost' = ANY (names))";
const ITS_INTENT = `(SELECT intent_id FROM ca.certificate WHERE serial_number = ${ITS})`;
const ITS_REQUEST = `(SELECT request_id FROM ca.certificate WHERE serial_number = ${ITS})`;
/** Copies its row, with another serial number. */
const TWIN = `CREATE TEMP TABLE twin ON COMMIT DROP AS SELECT * FROM ca.certificate WHERE serial_number = ${ITS};
  UPDATE twin SET serial_number = '0badc0de0badc0de';
  INSERT INTO ca.certificate SELECT * FROM twin;`;

const PLANTS: readonly Plant[] = [
  [
    'an acknowledged certificate that is missing',
    `DELETE FROM ca.certificate WHERE serial_number = ${ITS}`,
    /acknowledged certificate \w+ of planted\.localhost is missing/,
  ],
  [
    'an acknowledged revocation that is missing',
    `UPDATE ca.certificate SET status = 'valid', revoked_at = NULL, reason_code = 0 WHERE 'dns:revoked.localhost' = ANY (names)`,
    /acknowledged revocation of revoked\.localhost is missing/,
  ],
  [
    'a certificate without an intent',
    `DELETE FROM ca.intent WHERE intent_id = ${ITS_INTENT}`,
    /certificate \w+ has no intent/,
  ],
  [
    'a signature without an intent',
    `DELETE FROM ca.intent WHERE intent_id = ${ITS_INTENT}`,
    /signature without an intent/,
  ],
  [
    'a signature that is older than its intent',
    `UPDATE keymgr.signature SET created_at = created_at - interval '1 hour' WHERE intent_id = ${ITS_INTENT}`,
    /signature that is older than its intent/,
  ],
  [
    'a certificate that is older than its intent',
    `UPDATE ca.intent SET created_at = created_at + 3600000 WHERE intent_id = ${ITS_INTENT}`,
    /certificate \w+ is older than its intent/,
  ],
  [
    'a serial number that is used twice',
    `CREATE TEMP TABLE twin ON COMMIT DROP AS SELECT * FROM ca.intent WHERE intent_id = ${ITS_INTENT};
     UPDATE twin SET intent_id = gen_random_uuid(), request_id = gen_random_uuid();
     INSERT INTO ca.intent SELECT * FROM twin`,
    /serial number used twice/,
  ],
  [
    'bytes that are signed twice',
    `CREATE TEMP TABLE twin ON COMMIT DROP AS SELECT * FROM keymgr.signature WHERE intent_id = ${ITS_INTENT};
     UPDATE twin SET intent_id = gen_random_uuid();
     INSERT INTO keymgr.signature SELECT * FROM twin`,
    /bytes signed twice/,
  ],
  ['an order with two certificates', TWIN, /order with two certificates/],
  ['a name with two certificates', TWIN, /order of dns:planted\.localhost with 2 certificates/],
  [
    'a valid order without its certificate',
    `UPDATE ca.certificate SET request_id = gen_random_uuid() WHERE request_id = ${ITS_REQUEST}`,
    /valid order without its certificate/,
  ],
  [
    'a gap in the audit log',
    'DELETE FROM audit.leaf WHERE leaf_index = 3',
    /audit log: Leaf 3 is missing/,
  ],
  [
    'an audit log that was cut off',
    'DELETE FROM audit.leaf WHERE leaf_index >= (SELECT max(tree_size) - 1 FROM audit.checkpoint)',
    /audit log: The log ends at/,
  ],
  [
    'an event that was audited twice',
    `CREATE TEMP TABLE twin ON COMMIT DROP AS SELECT * FROM audit.leaf WHERE leaf_index = 3;
     ALTER TABLE audit.leaf DROP CONSTRAINT leaf_event;
     UPDATE twin SET leaf_index = (SELECT max(leaf_index) + 1 FROM audit.leaf);
     INSERT INTO audit.leaf SELECT * FROM twin`,
    /audit log: .*(stands there twice|order was changed)/,
  ],
  [
    'a signature that was not audited',
    `UPDATE keymgr.signature SET tbs_sha256 = sha256('other') WHERE intent_id = ${ITS_INTENT}`,
    /signature that is not audited/,
  ],
  [
    'an OCSP answer good for what is revoked',
    `UPDATE ca.certificate SET status = 'revoked', revoked_at = issued_at, reason_code = 4 WHERE serial_number = ${ITS}`,
    /certificate \w+ is revoked, OCSP says good/,
  ],
  [
    'a CRL that lacks what is revoked',
    `UPDATE ca.certificate SET status = 'revoked', revoked_at = issued_at, reason_code = 4 WHERE serial_number = ${ITS}`,
    /certificate \w+ is revoked, the CRL says otherwise/,
  ],
  [
    'OCSP and a CRL that revoke what is valid',
    `UPDATE ca.certificate SET status = 'valid', revoked_at = NULL, reason_code = 0 WHERE 'dns:revoked.localhost' = ANY (names)`,
    /certificate \w+ is valid, OCSP says revoked/,
  ],
  [
    'a CRL with a serial number that nobody issued',
    `DELETE FROM ca.certificate WHERE 'dns:revoked.localhost' = ANY (names)`,
    /the CRL has \w+, which nobody issued/,
  ],
  [
    'a CA without a key that issues',
    `UPDATE ca.issuer SET state = 'superseded' WHERE issuer_id = 'issuing'`,
    /CA without exactly one current key: issuing/,
  ],
  [
    'a key that took over and nobody told of it',
    `UPDATE ca.issuer SET generation = 2 WHERE issuer_id = 'issuing'`,
    /current key that nobody told of: issuing/,
  ],
  [
    'a certificate of a key that was not current yet',
    `UPDATE ca.issuer SET generation = 2 WHERE issuer_id = 'issuing'`,
    /certificate of a key that was not current yet/,
  ],
  [
    'a certificate of a key that was not current any more',
    `CREATE TEMP TABLE twin ON COMMIT DROP AS SELECT * FROM ca.outbox WHERE type = 'issuer.created' LIMIT 1;
     UPDATE twin SET position = -1, type = 'issuer.switched', occurred_at = 0, data = convert_to('{"from":"issuing"}', 'UTF8');
     INSERT INTO ca.outbox SELECT * FROM twin`,
    /certificate of a key that was not current any more/,
  ],
];

/** The check decides what a crash may leave behind: so each of its questions is asked of a database in which the answer is wrong. */
describe('check() of a PKI', () => {
  const shared = usePki('one process', ...QUICK_CRL);
  let acknowledged: Acknowledged;

  beforeAll(async () => {
    const { client, responder } = await startAcmeClient(shared);
    try {
      const [planted, revoked] = [
        await issue('planted.localhost'),
        await issue('revoked.localhost'),
      ];
      expect((await client.revoke(revoked.certificate, 4)).status).toBe(200);
      acknowledged = {
        names: ['planted.localhost', 'revoked.localhost'],
        certificates: [planted, { ...revoked, revokedFor: 4 }],
      };
    } finally {
      await responder.stop();
    }
    async function issue(name: string) {
      const [certificate] = fromPem(await client.certificate([name]), 'CERTIFICATE');
      const { serialNumber } = readCertificate(certificate as Buffer);
      return { name, certificate: certificate as Buffer, serialNumber };
    }
  });

  it('finds nothing in one that is sound', async () => {
    expect((await checkPki(shared.pki, { acknowledged })).findings).toEqual([]);
  });

  it.each(PLANTS)('finds %s', async (_name, sql, finding) => {
    const database = await connect(shared.pki);
    try {
      await database.query('BEGIN');
      // Constraints would refuse most of it: the check must not rely on them.
      await database.query("SET LOCAL session_replication_role = 'replica'");
      const listener = { url: shared.pki.statusUrl, http: shared.http };
      await dropUniqueIndexes(database);
      await database.query(sql);
      const { findings } = await checkRecords(database, listener, acknowledged);
      expect(findings.filter((text) => finding.test(text))).not.toEqual([]);
    } finally {
      // And with it the transaction.
      await database.end();
    }
  });
});

/** In this transaction alone. */
async function dropUniqueIndexes(database: Client): Promise<void> {
  await database.query(`DO $$ DECLARE statement text; BEGIN
    FOR statement IN SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname) FROM pg_constraint
      WHERE contype IN ('p', 'u', 'c', 'f') AND conrelid IN ('ca.intent'::regclass, 'ca.certificate'::regclass, 'keymgr.signature'::regclass)
    LOOP EXECUTE statement; END LOOP; END $$;
    DROP INDEX IF EXISTS ca.intent_request`);
}
