/** Octets as a text that PostgreSQL reads as bytea: for rows that go as JSON (json_to_recordset), since unnest takes no arrays within a row. */
export function jsonOctets(octets: Buffer): string {
  return `\\x${octets.toString('hex')}`;
}
