import { isSignedBy, type ParsedCertificate, readCertificate } from './certificate.ts';
import {
  contextConstructed,
  DerError,
  DerReader,
  nullValue,
  octetString,
  oid,
  sequence,
} from './der.ts';
import { TAG } from './der-tag.ts';
import { readExtendedKeyUsage } from './extension-values.ts';
import {
  type CertIdHash,
  certIdHashes,
  encodeNonce,
  type IssuerHashes,
  OCSP_ERROR_STATUS,
  type OcspErrorStatus,
  type ParsedResponseData,
  readResponseData,
} from './ocsp.ts';
import { OID } from './oid.ts';
import { serialNumberToInteger } from './serial-number.ts';
import { verifySignature } from './signature.ts';

/** CertID, DER, of one certificate of an issuer. */
export function encodeCertId(
  hashAlgorithm: CertIdHash,
  issuer: IssuerHashes,
  serialNumber: string,
): Buffer {
  return sequence(
    sequence(oid(OID[hashAlgorithm]), nullValue()),
    octetString(issuer.issuerNameHash),
    octetString(issuer.issuerKeyHash),
    serialNumberToInteger(serialNumber),
  );
}

/** An OCSPRequest for one certificate (RFC 6960 §4.1.1), CertID with SHA-1 as RFC 5019 §2.1.1 asks. */
export function buildOcspRequest(
  issuerCertificate: Buffer,
  serialNumber: string,
  nonce?: Buffer,
): Buffer {
  const { sha1 } = certIdHashes(issuerCertificate);
  return encodeOcspRequest([encodeCertId('sha1', sha1, serialNumber)], nonce);
}

/** OCSPRequest, unsigned, for CertIDs of encodeCertId. */
export function encodeOcspRequest(certIds: readonly Buffer[], nonce?: Buffer): Buffer {
  const parts = [sequence(...certIds.map((certId) => sequence(certId)))];
  if (nonce !== undefined) parts.push(contextConstructed(2, encodeNonce(nonce)));
  return sequence(sequence(...parts));
}

/** A successful answer, taken apart; the signature is not verified by reading. */
export interface ReadOcspResponse {
  readonly data: ParsedResponseData;
  /** AlgorithmIdentifier. */
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
  /** DER. */
  readonly certificates: readonly Buffer[];
}

/** Reads an OCSPResponse. Throws DerError when it is malformed, or naming the OCSPResponseStatus when it is not successful. */
export function readOcspResponse(der: Uint8Array): ReadOcspResponse {
  const outer = new DerReader(der);
  const fields = outer.sequence();
  outer.expectEnd();
  const code = fields.smallInteger(TAG.enumerated);
  if (code !== 0) throw new DerError(`The OCSP answer's status is ${statusName(code) ?? code}.`);
  const wrapper = fields.enter(0xa0);
  fields.expectEnd();
  const body = wrapper.sequence();
  wrapper.expectEnd();
  if (body.oid() !== OID.ocspBasic)
    throw new DerError('The OCSP answer is not a BasicOCSPResponse.');
  const octets = body.octetString();
  body.expectEnd();
  return readBasicResponse(octets);
}

function statusName(code: number): OcspErrorStatus | undefined {
  const found = Object.entries(OCSP_ERROR_STATUS).find(([, value]) => value === code);
  return found?.[0] as OcspErrorStatus | undefined;
}

function readBasicResponse(der: Buffer): ReadOcspResponse {
  const outer = new DerReader(der);
  const fields = outer.sequence();
  outer.expectEnd();
  const data = readResponseData(fields.element(TAG.sequence));
  const signatureAlgorithm = fields.element(TAG.sequence);
  const signature = fields.bitOctets();
  const wrapper = fields.optionalContext(0);
  fields.expectEnd();
  const list = wrapper?.sequence();
  wrapper?.expectEnd();
  const certificates: Buffer[] = [];
  while (list !== undefined && !list.done) certificates.push(list.element(TAG.sequence));
  return { data, signatureAlgorithm, signature, certificates };
}

/**
 * True when the answer is signed by the issuer itself, or by a certificate in it that the issuer signed and that has the
 * purpose OCSPSigning (RFC 6960 §4.2.2.2); without that purpose anybody with a certificate could answer. Times are not looked
 * at. Throws DerError and BAD_PUBLIC_KEY for malformed certificates.
 */
export function isAuthorizedAnswer(answer: ReadOcspResponse, issuerCertificate: Buffer): boolean {
  const issuer = readCertificate(issuerCertificate);
  const delegates = answer.certificates
    .map((der) => readCertificate(der))
    .filter((certificate) => isResponder(certificate) && isSignedBy(certificate, issuer));
  const { signatureAlgorithm, signature, data } = answer;
  return [issuer, ...delegates].some(
    ({ publicKey }) =>
      publicKey.keyIdentifier.equals(data.responderKeyHash) &&
      verifySignature(publicKey.keyObject, signatureAlgorithm, data.tbs, signature),
  );
}

function isResponder({ extensions }: ParsedCertificate): boolean {
  const usage = extensions.get(OID.extKeyUsage);
  return usage !== undefined && readExtendedKeyUsage(usage.value).includes('OCSPSigning');
}
