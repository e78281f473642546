import type { Client } from 'pg';

/** What clients were told. Names are of one order each. */
export interface Acknowledged {
  /** Every name that was ordered, whether or not a certificate came of it. */
  readonly names: readonly string[];
  readonly certificates: readonly AcknowledgedCertificate[];
}

/** A certificate that a client has downloaded. */
export interface AcknowledgedCertificate {
  readonly name: string;
  readonly serialNumber: string;
  /** DER. */
  readonly certificate: Buffer;
  /** The reason code of a revocation that was answered with success. */
  readonly revokedFor?: number;
}

interface Row {
  serial_number: string;
  name: string;
  certificate: Buffer;
  status: string;
  reason_code: number;
}

/** Certificates and revocations that clients were told of and that `ca` does not have, and names with more than one certificate. */
export async function checkAcknowledged(
  database: Client,
  { names, certificates }: Acknowledged,
): Promise<string[]> {
  const { rows } = await database.query<Row>(
    `SELECT serial_number, name, certificate, status, reason_code FROM ca.certificate, unnest(names) AS name
     WHERE certificate IS NOT NULL AND name = ANY ($1)`,
    [names.map((name) => `dns:${name}`)],
  );
  const bySerial = new Map(rows.map((row) => [row.serial_number, row]));
  const byName = Map.groupBy(rows, (row) => row.name);
  const several = [...byName].filter(([, { length }]) => length > 1);
  return [
    ...several.map(([name, { length }]) => `order of ${name} with ${length} certificates`),
    ...certificates.flatMap((told) => {
      const row = bySerial.get(told.serialNumber);
      if (!row?.certificate.equals(told.certificate))
        return [`acknowledged certificate ${told.serialNumber} of ${told.name} is missing`];
      if (told.revokedFor === undefined) return [];
      const isKept = row.status === 'revoked' && row.reason_code === told.revokedFor;
      return isKept ? [] : [`acknowledged revocation of ${told.name} is missing`];
    }),
  ];
}
