import type { HttpReply } from '@gigvault/http/route';
import {
  contextConstructed,
  DerReader,
  nullValue,
  octetString,
  oid,
  sequence,
} from '@gigvault/x509/der';
import { certIdHashes, type ParsedResponseData, readResponseData } from '@gigvault/x509/ocsp';
import { OID } from '@gigvault/x509/oid';
import { serialNumberToInteger } from '@gigvault/x509/serial-number';

/** CertID, DER. */
export function certId(
  issuerCertificate: Buffer,
  serialNumber: string,
  hash: 'sha1' | 'sha256' = 'sha1',
): Buffer {
  const { issuerNameHash, issuerKeyHash } = certIdHashes(issuerCertificate)[hash];
  return sequence(
    sequence(oid(OID[hash]), nullValue()),
    octetString(issuerNameHash),
    octetString(issuerKeyHash),
    serialNumberToInteger(serialNumber),
  );
}

/** OCSPRequest, DER. */
export function ocspRequest(certIds: readonly Buffer[], nonce?: Buffer): Buffer {
  const list = sequence(...certIds.map((one) => sequence(one)));
  if (!nonce) return sequence(sequence(list));
  const extension = sequence(oid('1.3.6.1.5.5.7.48.1.2'), octetString(octetString(nonce)));
  return sequence(sequence(list, contextConstructed(2, sequence(extension))));
}

/** What an answer says: the OCSPResponseStatus, and the signed data when it is successful. */
export function readAnswer(reply: HttpReply): { status: number; data?: ParsedResponseData } {
  const response = new DerReader(reply.body as Buffer).sequence();
  const status = response.smallInteger(0x0a);
  if (status !== 0) return { status };
  const body = response.enter(0xa0).sequence();
  body.oid();
  const basic = new DerReader(body.octetString()).sequence();
  return { status, data: readResponseData(basic.element()) };
}
