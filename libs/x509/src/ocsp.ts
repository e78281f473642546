import { createHash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readCertificate } from './certificate.ts';
import {
  bitString,
  bufferOf,
  contextConstructed,
  contextPrimitive,
  DerError,
  DerReader,
  enumerated,
  generalizedTime,
  octetString,
  oid,
  sequence,
} from './der.ts';
import { TAG } from './der-tag.ts';
import { encodeExtension, extensionMap, readExtensionList } from './extension.ts';
import { OID } from './oid.ts';
import { isReasonCode } from './reason-code.ts';
import { serialNumberFromOctets } from './serial-number.ts';

/** Hash algorithms of a CertID. */
export type CertIdHash = 'sha1' | 'sha256';

/** One CertID (RFC 6960 §4.1.1). */
export interface CertId {
  readonly hashAlgorithm: CertIdHash;
  readonly issuerNameHash: Buffer;
  readonly issuerKeyHash: Buffer;
  /** Lower-case hex. */
  readonly serialNumber: string;
  /** CertID, DER, as it came: goes back unchanged in the response. */
  readonly certId: Buffer;
}

/** An OCSP request; a signature on it is not looked at. */
export interface OcspRequest {
  /** 1 to 100, in order. */
  readonly requests: readonly CertId[];
  /** 1 to 128 octets (RFC 9654 §2.1). */
  readonly nonce?: Buffer;
}

/** A request that is answered with ocspErrorResponse(status). */
export class OcspRequestError extends GigvaultError {
  /** OCSPResponseStatus. */
  readonly status = 'malformedRequest';

  constructor(message: string, cause?: unknown) {
    super('INVALID_ARGUMENT', message, { cause });
  }
}

const MAX_REQUESTS = 100;
const MAX_REQUEST_OCTETS = 25_000;
const MAX_NONCE = 128;
const HASH_OF_OID: ReadonlyMap<string, CertIdHash> = new Map([
  [OID.sha1, 'sha1'],
  [OID.sha256, 'sha256'],
]);
const HASH_OCTETS = { sha1: 20, sha256: 32 } as const;

/**
 * Reads an OCSPRequest of at most 25,000 octets and 100 CertIDs. Throws OcspRequestError for everything else: malformed DER,
 * other hash algorithms, a nonce that is not 1 to 128 octets, unknown critical extensions (RFC 6960 §4.1, RFC 9654; T54).
 */
export function readOcspRequest(der: Uint8Array): OcspRequest {
  if (der.length > MAX_REQUEST_OCTETS) throw new OcspRequestError('The OCSP request is too large.');
  try {
    return readRequest(der);
  } catch (error) {
    if (error instanceof DerError)
      throw new OcspRequestError(`The OCSP request is malformed: ${error.message}`, error);
    throw error;
  }
}

function readRequest(der: Uint8Array): OcspRequest {
  const outer = new DerReader(der);
  const fields = outer.sequence();
  outer.expectEnd();
  const tbs = fields.sequence();
  fields.optionalContext(0);
  fields.expectEnd();
  if ((tbs.optionalContext(0)?.smallInteger() ?? 0) !== 0)
    throw new DerError('The version is not 1.');
  tbs.optionalContext(1);
  const requests = readRequestList(tbs.sequence());
  const nonce = readExtensions(tbs.optionalContext(2));
  tbs.expectEnd();
  return { requests, ...(nonce !== undefined && { nonce }) };
}

function readRequestList(list: DerReader): CertId[] {
  const requests: CertId[] = [];
  while (!list.done) {
    if (requests.length === MAX_REQUESTS)
      throw new DerError(`There are more than ${MAX_REQUESTS} requests.`);
    const fields = list.sequence();
    requests.push(readCertId(fields.element(TAG.sequence)));
    readExtensions(fields.optionalContext(0));
    fields.expectEnd();
  }
  if (requests.length === 0) throw new DerError('There is no request.');
  return requests;
}

function readCertId(certId: Buffer): CertId {
  const outer = new DerReader(certId);
  const fields = outer.sequence();
  outer.expectEnd();
  const algorithm = fields.sequence();
  const hashAlgorithm = HASH_OF_OID.get(algorithm.oid());
  if (!algorithm.done) algorithm.null();
  algorithm.expectEnd();
  const issuerNameHash = fields.octetString();
  const issuerKeyHash = fields.octetString();
  const serialNumber = serialNumberFromOctets(fields.integerOctets());
  fields.expectEnd();
  if (hashAlgorithm === undefined)
    throw new DerError('A CertID is made with another hash than SHA-1 or SHA-256.');
  const octets = HASH_OCTETS[hashAlgorithm];
  if (issuerNameHash.length !== octets || issuerKeyHash.length !== octets) {
    throw new DerError('A hash in a CertID has the wrong length.');
  }
  return { hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber, certId };
}

/** The nonce among the Extensions in `wrapper`, if any. */
function readExtensions(wrapper: DerReader | undefined): Buffer | undefined {
  if (wrapper === undefined) return undefined;
  const extensions = extensionMap(readExtensionList(wrapper));
  wrapper.expectEnd();
  for (const { oid: type, critical } of extensions.values()) {
    if (critical && type !== OID.ocspNonce)
      throw new DerError('There is an unknown critical extension.');
  }
  const extension = extensions.get(OID.ocspNonce);
  return extension && readNonce(extension.value);
}

function readNonce(value: Buffer): Buffer {
  const reader = new DerReader(value);
  const nonce = reader.octetString();
  reader.expectEnd();
  if (nonce.length < 1 || nonce.length > MAX_NONCE)
    throw new DerError(`A nonce has 1 to ${MAX_NONCE} octets.`);
  return nonce;
}

/** Extensions with the nonce alone. */
export function encodeNonce(nonce: Buffer): Buffer {
  return sequence(encodeExtension(OID.ocspNonce, false, octetString(nonce)));
}

/** The hashes by which CertIDs name an issuer. */
export interface IssuerHashes {
  readonly issuerNameHash: Buffer;
  readonly issuerKeyHash: Buffer;
}

/** The hashes of an issuer (its certificate, DER) for both algorithms. Throws DerError. */
export function certIdHashes(
  issuerCertificate: Buffer,
): Readonly<Record<CertIdHash, IssuerHashes>> {
  const { subject, spki } = readCertificate(issuerCertificate);
  const key = new DerReader(spki).sequence();
  key.sequence();
  const bits = key.bitOctets();
  const hashes = (algorithm: CertIdHash): IssuerHashes => ({
    issuerNameHash: createHash(algorithm).update(subject).digest(),
    issuerKeyHash: createHash(algorithm).update(bits).digest(),
  });
  return { sha1: hashes('sha1'), sha256: hashes('sha256') };
}

/** CertStatus: `unknown` for what was never issued. */
export type CertStatus = 'good' | 'unknown' | RevokedInfo;

/** RevokedInfo; reasonCode 0 stands for no reason given and is left out of the bytes. */
export interface RevokedInfo {
  /** Unix ms. */
  readonly revokedAt: number;
  readonly reasonCode: number;
}

/** The answer about one certificate. */
export interface SingleResponse {
  /** CertID, DER, as it came in the request. */
  readonly certId: Buffer;
  readonly status: CertStatus;
  /** Unix ms. */
  readonly thisUpdate: number;
  /** Unix ms. */
  readonly nextUpdate: number;
}

/** What a responder signs. */
export interface ResponseDataFields {
  /** SHA-1 of the responder key's bits: its PublicKeyInfo.keyIdentifier. */
  readonly responderKeyHash: Buffer;
  /** Unix ms. */
  readonly producedAt: number;
  /** At least one, in the request's order. */
  readonly responses: readonly SingleResponse[];
  /** The request's, or left out. */
  readonly nonce?: Buffer;
}

/** OCSPResponseStatus of an answer without a body (RFC 6960 §4.2.1). */
export type OcspErrorStatus =
  | 'malformedRequest'
  | 'internalError'
  | 'tryLater'
  | 'sigRequired'
  | 'unauthorized';

/** The numbers of OCSPResponseStatus. */
export const OCSP_ERROR_STATUS: Readonly<Record<OcspErrorStatus, number>> = {
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  sigRequired: 5,
  unauthorized: 6,
};
const MAX_RESPONSES = 100;
const GOOD = contextPrimitive(0, Buffer.alloc(0));
const UNKNOWN = contextPrimitive(2, Buffer.alloc(0));
const OCSP_BASIC = oid(OID.ocspBasic);

/** ResponseData (RFC 6960 §4.2.1), responder by key. Throws DerError for fields that cannot be encoded. */
export function buildResponseData(fields: ResponseDataFields): Buffer {
  if (fields.responses.length === 0) throw new DerError('An OCSP response needs an answer.');
  const parts = [
    contextConstructed(2, octetString(fields.responderKeyHash)),
    generalizedTime(fields.producedAt),
    sequence(...fields.responses.map(encodeSingleResponse)),
  ];
  if (fields.nonce !== undefined) parts.push(contextConstructed(1, encodeNonce(fields.nonce)));
  return sequence(...parts);
}

function encodeSingleResponse({ certId, status, thisUpdate, nextUpdate }: SingleResponse): Buffer {
  return sequence(
    certId,
    encodeCertStatus(status),
    generalizedTime(thisUpdate),
    contextConstructed(0, generalizedTime(nextUpdate)),
  );
}

function encodeCertStatus(status: CertStatus): Buffer {
  if (status === 'good') return GOOD;
  if (status === 'unknown') return UNKNOWN;
  const { revokedAt, reasonCode } = status;
  if (!isReasonCode(reasonCode)) throw new DerError('That is not a reason code.');
  const time = generalizedTime(revokedAt);
  if (reasonCode === 0) return contextConstructed(1, time);
  return contextConstructed(1, time, contextConstructed(0, enumerated(reasonCode)));
}

/** A successful OCSPResponse with a BasicOCSPResponse; `certificates` (DER) start with the responder's own and may be empty. */
export function assembleOcspResponse(
  responseData: Buffer,
  algorithmDer: Buffer,
  signature: Buffer,
  certificates: readonly Buffer[],
): Buffer {
  const parts = [responseData, algorithmDer, bitString(signature)];
  if (certificates.length > 0) parts.push(contextConstructed(0, sequence(...certificates)));
  const body = sequence(OCSP_BASIC, octetString(sequence(...parts)));
  return sequence(enumerated(0), contextConstructed(0, body));
}

/** An OCSPResponse that only tells what went wrong; unsigned (RFC 6960 §2.3). */
export function ocspErrorResponse(status: OcspErrorStatus): Buffer {
  return sequence(enumerated(OCSP_ERROR_STATUS[status]));
}

/** ResponseData as read. */
export interface ParsedResponseData {
  readonly tbs: Buffer;
  readonly responderKeyHash: Buffer;
  /** Unix ms. */
  readonly producedAt: number;
  readonly responses: readonly (SingleResponse & CertId)[];
  readonly nonce?: Buffer;
}

/** Reads ResponseData in the form that buildResponseData writes: responder by key, nextUpdate in every answer. Throws DerError. */
export function readResponseData(tbs: Uint8Array): ParsedResponseData {
  const outer = new DerReader(tbs);
  const fields = outer.sequence();
  outer.expectEnd();
  const byKey = fields.enter(0xa2);
  const responderKeyHash = byKey.octetString();
  byKey.expectEnd();
  const producedAt = fields.generalizedTime();
  const responses = readResponses(fields.sequence());
  const nonce = readExtensions(fields.optionalContext(1));
  fields.expectEnd();
  if (responderKeyHash.length !== 20) throw new DerError('A responder key hash has 20 octets.');
  return {
    tbs: bufferOf(tbs),
    responderKeyHash,
    producedAt,
    responses,
    ...(nonce !== undefined && { nonce }),
  };
}

function readResponses(list: DerReader): (SingleResponse & CertId)[] {
  const responses: (SingleResponse & CertId)[] = [];
  while (!list.done) {
    if (responses.length === MAX_RESPONSES) throw new DerError('There are too many answers.');
    responses.push(readSingleResponse(list.sequence()));
  }
  if (responses.length === 0) throw new DerError('There is no answer.');
  return responses;
}

function readSingleResponse(fields: DerReader): SingleResponse & CertId {
  const certId = readCertId(fields.element(TAG.sequence));
  const status = readCertStatus(fields);
  const thisUpdate = fields.generalizedTime();
  const next = fields.enter(0xa0);
  const nextUpdate = next.generalizedTime();
  next.expectEnd();
  fields.expectEnd();
  return { ...certId, status, thisUpdate, nextUpdate };
}

function readCertStatus(fields: DerReader): CertStatus {
  const revoked = fields.optionalContext(1);
  if (revoked !== undefined) return readRevokedInfo(revoked);
  const good = fields.is(0x80);
  if (fields.content(good ? 0x80 : 0x82).length !== 0) throw new DerError('A status is malformed.');
  return good ? 'good' : 'unknown';
}

function readRevokedInfo(fields: DerReader): RevokedInfo {
  const revokedAt = fields.generalizedTime();
  const reason = fields.optionalContext(0);
  const reasonCode = reason?.smallInteger(TAG.enumerated) ?? 0;
  reason?.expectEnd();
  fields.expectEnd();
  return { revokedAt, reasonCode };
}
