import type { KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import type { Identifier } from '../ports/orders.ts';

/**
 * Checks that a certification request asks for exactly the order's names with a key of its own (RFC 8555 §7.4, §11.1).
 * Errors: BAD_CSR, BAD_PUBLIC_KEY.
 *
 * @param accountKey must not be the certificate's key too.
 */
export function checkCertificationRequest(
  der: Buffer,
  identifiers: readonly Identifier[],
  accountKey: KeyObject,
): void {
  const request = parseCertificationRequest(der);
  const asked = new Set(request.subjectAltName.map(nameKey));
  const ordered = new Set(identifiers.map(nameKey));
  const missing = [...ordered].filter((name) => !asked.has(name));
  const extra = [...asked].filter((name) => !ordered.has(name));
  if (missing.length + extra.length > 0) {
    const parts = [
      ...(missing.length > 0 ? [`it lacks ${missing.join(', ')}`] : []),
      ...(extra.length > 0 ? [`it adds ${extra.join(', ')}`] : []),
    ];
    throw new GigvaultError(
      'BAD_CSR',
      `The names of the certification request are not those of the order: ${parts.join('; ')}.`,
    );
  }
  if (request.publicKey.keyObject.equals(accountKey)) {
    throw new GigvaultError('BAD_CSR', 'The certificate must not have the key of the account.');
  }
}

function nameKey(name: { readonly type: string; readonly value: string }): string {
  return `${name.type}:${name.value}`;
}
