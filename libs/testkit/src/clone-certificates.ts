import { randomBytes } from 'node:crypto';
import { connect } from './check-pki.ts';
import type { PkiProcess } from './pki-process.ts';

/**
 * Copies a certificate's row in `ca` under new serial numbers: as many certificates with the same key as a test of mass revocation needs, in
 * a second instead of minutes. Their bytes are the original's, so `checkPki` would not be content. Returns some of the serial numbers.
 */
export async function cloneCertificates(
  pki: PkiProcess,
  serialNumber: string,
  count: number,
): Promise<string[]> {
  const database = await connect(pki);
  // Positive, sixteen octets, and none that is there already.
  const prefix = `5${randomBytes(3).toString('hex').slice(1)}`;
  try {
    await database.query('SET statement_timeout = 0');
    const { rows } = await database.query<{ serial_number: string }>(
      `INSERT INTO ca.certificate
       SELECT (jsonb_populate_record(c, jsonb_build_object('serial_number', $2 || substr(md5(n::text), 1, 26),
                 'request_id', gen_random_uuid(), 'intent_id', gen_random_uuid()))).*
         FROM ca.certificate c, generate_series(1, $3::integer) n WHERE c.serial_number = $1
       RETURNING serial_number`,
      [serialNumber, prefix, count],
    );
    return rows.filter((_, i) => i % Math.ceil(count / 10) === 0).map((row) => row.serial_number);
  } finally {
    await database.end();
  }
}
