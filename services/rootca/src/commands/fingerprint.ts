import { createHash } from 'node:crypto';

/** As `SHA256 4F:2A:…`. */
export function fingerprint(der: Buffer): string {
  const hex = createHash('sha256').update(der).digest('hex').toUpperCase();
  return `SHA256 ${hex.replace(/..(?=.)/g, '$&:')}`;
}
