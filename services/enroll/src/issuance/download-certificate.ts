import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readCertificate } from '@gigvault/x509/certificate';
import { toPem } from '@gigvault/x509/pem';
import { findOwnOrder } from '../order/read-order.ts';
import type { Orders } from '../ports/orders.ts';

/**
 * The certificate of an order and its chain as application/pem-certificate-chain (RFC 8555 §7.4.2, §9.1): the end-entity
 * certificate first, without the root, which a client must have from elsewhere.
 * Errors: NOT_FOUND when the order has no certificate; UNAUTHORIZED when it is another account's.
 */
export async function downloadCertificate(
  orders: Orders,
  accountId: string,
  orderId: string,
): Promise<string> {
  const { certificate, chain = [] } = await findOwnOrder(orders, accountId, orderId);
  if (!certificate) throw new GigvaultError('NOT_FOUND', 'The order has no certificate.');
  return [certificate, ...chain.filter((issuer) => !isSelfIssued(issuer))]
    .map((der) => toPem('CERTIFICATE', der))
    .join('');
}

function isSelfIssued(der: Buffer): boolean {
  const { issuer, subject } = readCertificate(der);
  return issuer.equals(subject);
}
