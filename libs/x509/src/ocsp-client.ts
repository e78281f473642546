import { contextConstructed, DerError, DerReader, nullValue, octetString, oid, sequence } from './der.ts';
import { certIdHashes, encodeNonce, type ParsedResponseData, readResponseData } from './ocsp.ts';
import { readCertificate } from './certificate.ts';
import { OID } from './oid.ts';
import { serialNumberToInteger } from './serial-number.ts';
import { verifySignature } from './signature.ts';

const SHA1 = '1.3.14.3.2.26';

/** An OCSPRequest for one certificate (RFC 6960 §4.1.1), CertID with SHA-1 as RFC 5019 §2.1.1 asks. */
export function buildOcspRequest(issuerCertificate: Buffer, serialNumber: string, nonce?: Buffer): Buffer {
  const { issuerNameHash, issuerKeyHash } = certIdHashes(issuerCertificate).sha1;
  const certId = sequence(
    sequence(oid(SHA1), nullValue()),
    octetString(issuerNameHash),
    octetString(issuerKeyHash),
    serialNumberToInteger(serialNumber),
  );
  const parts = [sequence(sequence(certId))];
  if (nonce !== undefined) parts.push(contextConstructed(2, encodeNonce(nonce)));
  return sequence(sequence(...parts));
}

/** A successful answer, taken apart. */
export interface ReadOcspResponse {
  readonly data: ParsedResponseData;
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
  /** DER. */
  readonly certificates: readonly Buffer[];
}

/** Reads an OCSPResponse. Throws DerError when it is malformed, or naming the OCSPResponseStatus when it is not successful. */
export function readOcspResponse(der: Uint8Array): ReadOcspResponse {
  const outer = new DerReader(der);
  const response = outer.sequence();
  outer.expectEnd();
  const status = response.smallInteger(0x0a);
  if (status !== 0) throw new DerError(`The OCSP answer's status is ${status}.`);
  const body = response.enter(0xa0).sequence();
  if (body.oid() !== OID.ocspBasic) throw new DerError('The OCSP answer is not a BasicOCSPResponse.');
  const basic = new DerReader(body.octetString()).sequence();
  const data = readResponseData(basic.element());
  const signatureAlgorithm = basic.element();
  const signature = basic.bitOctets();
  const list = basic.optionalContext(0)?.sequence();
  const certificates: Buffer[] = [];
  while (list && list.peek() !== -1) certificates.push(list.element());
  return { data, signatureAlgorithm, signature, certificates };
}

/**
 * True when the answer is signed by the issuer itself, or by a certificate in it that the issuer has signed
 * (RFC 6960 §4.2.2.2; the caller has checked the delegate's extendedKeyUsage when it accepts strangers' answers).
 */
export function isAuthorizedAnswer(answer: ReadOcspResponse, issuerCertificate: Buffer): boolean {
  const issuer = readCertificate(issuerCertificate);
  const signers = [
    issuer,
    ...answer.certificates
      .map((der) => readCertificate(der))
      .filter((c) => verifySignature(issuer.publicKey.keyObject, c.signatureAlgorithm, c.tbs, c.signature)),
  ];
  return signers.some((signer) =>
    verifySignature(signer.publicKey.keyObject, answer.signatureAlgorithm, answer.data.tbs, answer.signature),
  );
}
