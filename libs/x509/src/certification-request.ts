import { hash, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { assembleSigned, readSigned } from './certificate.ts';
import { contextConstructed, DerError, DerReader, integer, oid, sequence, set } from './der.ts';
import { type Extension, encodeExtension, extensionMap, readExtensionList } from './extension.ts';
import {
  readBasicConstraints,
  readExtendedKeyUsage,
  readKeyUsage,
  readSubjectKeyIdentifier,
} from './extension-values.ts';
import {
  distinctNames,
  encodeGeneralNames,
  type GeneralName,
  readGeneralNames,
} from './general-name.ts';
import { normalizeIpAddress } from './ip-address.ts';
import { type Attribute, attributeProblem, encodeName, readName } from './name.ts';
import { OID } from './oid.ts';
import { keyTypeOf, type PublicKeyInfo, publicKeyInfoOf, readPublicKey } from './public-key.ts';
import {
  signatureAlgorithm,
  signTbs,
  verifySignature,
  verifySignatureOffLoop,
} from './signature.ts';

/** A PKCS#10 request (RFC 2986) whose signature proves possession of the key. */
export interface CertificationRequest {
  readonly der: Buffer;
  readonly subject: readonly Attribute[];
  /** Lower-cased when it is a DNS name. */
  readonly commonName?: string;
  /**
   * The names asked for, without repeats, DNS names in lower case, otherwise as they stand: not checked against any policy,
   * see normalizeGeneralName. Holds the common name alone when the request has no subjectAltName and it looks like a name.
   */
  readonly subjectAltName: readonly GeneralName[];
  readonly publicKey: PublicKeyInfo;
  /** Everything in extensionRequest but subjectAltName. Told, never copied (T27). */
  readonly requestedExtensions: readonly { readonly oid: string; readonly critical: boolean }[];
}

const MAX_REQUEST_OCTETS = 50_000;
const MAX_NAMES = 100;

/** Extensions that may be critical in a request, and what their value must parse as. */
const KNOWN_EXTENSIONS: ReadonlyMap<string, (value: Buffer) => unknown> = new Map<
  string,
  (value: Buffer) => unknown
>([
  [OID.subjectAltName, () => undefined],
  [OID.keyUsage, readKeyUsage],
  [OID.extKeyUsage, readExtendedKeyUsage],
  [OID.subjectKeyIdentifier, readSubjectKeyIdentifier],
  [OID.basicConstraints, refuseCa],
]);

/**
 * Reads a request of at most 50,000 octets and 100 names, and verifies its signature. Throws BAD_CSR with the reason for
 * malformed DER, cA TRUE, an unknown critical extension, a common name that is not among the names, or a wrong signature;
 * BAD_PUBLIC_KEY for a key that readPublicKey refuses (T22, T23, T24, T26, T27, T28, T30).
 */
export function parseCertificationRequest(der: Uint8Array): CertificationRequest {
  const digest = digestOf(der);
  const known = proved.get(digest);
  if (known) return known;
  const { request, proof } = readRequest(der);
  if (!verifySignature(request.publicKey.keyObject, ...proof)) refuse(NO_PROOF);
  return remember(digest, request);
}

/** parseCertificationRequest with its signature verified off the event loop: for whoever reads many at once. */
export async function parseCertificationRequestOffLoop(
  der: Uint8Array,
): Promise<CertificationRequest> {
  const digest = digestOf(der);
  const known = proved.get(digest);
  if (known) return known;
  const { request, proof } = readRequest(der);
  if (!(await verifySignatureOffLoop(request.publicKey.keyObject, ...proof))) refuse(NO_PROOF);
  return remember(digest, request);
}

/**
 * The last requests that were good, by SHA-256: each is read by whoever handles it in turn, for a check and then again, and the same octets
 * give the same result.
 */
const proved = new Map<string, CertificationRequest>();
const REMEMBERED = 256;

/** Whoever asks has not paid for a hash of more than a request may have. */
function digestOf(der: Uint8Array): string {
  if (der.length > MAX_REQUEST_OCTETS) refuse(`it is larger than ${MAX_REQUEST_OCTETS} octets.`);
  return hash('sha256', der, 'latin1');
}

function remember(digest: string, request: CertificationRequest): CertificationRequest {
  const [oldest] = proved.keys();
  if (proved.size >= REMEMBERED && oldest !== undefined) proved.delete(oldest);
  proved.set(digest, request);
  return request;
}

const NO_PROOF = 'its signature does not prove possession of the key.';

/** A request whose signature has not been verified, and what verifySignature takes after the key. */
interface UnprovedRequest {
  readonly request: CertificationRequest;
  readonly proof: readonly [algorithm: Buffer, tbs: Buffer, signature: Buffer];
}

function readRequest(der: Uint8Array): UnprovedRequest {
  try {
    // A copy: the request is remembered, and whoever gave the octets may use them again.
    return readFields(Buffer.from(der));
  } catch (error) {
    if (error instanceof DerError) refuse(error.message, error);
    throw error;
  }
}

function readFields(der: Buffer): UnprovedRequest {
  const { tbs, signatureAlgorithm: algorithm, signature } = readSigned(der);
  const { subject, spki, extensions } = readRequestInfo(tbs);
  const rawCommonName = readCommonName(subject);
  const commonName = rawCommonName === undefined ? undefined : lowerDnsName(rawCommonName);
  const subjectAltName = readNames(extensions, commonName);
  for (const extension of extensions) checkExtension(extension);
  // The expensive parts come last.
  const publicKey = readPublicKey(spki);
  const requestedExtensions = extensions
    .filter((extension) => extension.oid !== OID.subjectAltName)
    .map(({ oid, critical }) => ({ oid, critical }));
  const request = {
    der,
    subject,
    ...(commonName !== undefined && { commonName }),
    subjectAltName,
    publicKey,
    requestedExtensions,
  };
  return { request, proof: [algorithm, tbs, signature] };
}

function readRequestInfo(tbs: Buffer): {
  readonly subject: Attribute[];
  readonly spki: Buffer;
  readonly extensions: readonly Extension[];
} {
  const fields = new DerReader(tbs).sequence();
  if (fields.smallInteger() !== 0) throw new DerError('The request is not of version 1.');
  const subject = readName(fields.element());
  const spki = fields.element();
  const attributes = fields.optionalContext(0);
  fields.expectEnd();
  for (const attribute of subject) {
    const problem = attributeProblem(attribute);
    if (problem !== undefined) throw new DerError(problem);
  }
  return { subject, spki, extensions: attributes === undefined ? [] : readAttributes(attributes) };
}

/** The extensions of extensionRequest (RFC 2985 §5.4.2); challengePassword and other attributes are passed over. */
function readAttributes(attributes: DerReader): readonly Extension[] {
  let extensions: readonly Extension[] | undefined;
  while (!attributes.done) {
    const fields = attributes.sequence();
    const type = fields.oid();
    const values = fields.set();
    fields.expectEnd();
    if (type !== OID.extensionRequest) continue;
    if (extensions !== undefined) throw new DerError('extensionRequest occurs twice.');
    extensions = readExtensionList(values);
    values.expectEnd();
    extensionMap(extensions);
  }
  return extensions ?? [];
}

function checkExtension({ oid, critical, value }: Extension): void {
  const read = KNOWN_EXTENSIONS.get(oid);
  if (read === undefined && critical) refuse(`it asks for the unknown critical extension ${oid}.`);
  read?.(value);
}

function refuseCa(value: Buffer): void {
  if (readBasicConstraints(value).isCa) refuse('it asks for a CA certificate.');
}

function readCommonName(subject: readonly Attribute[]): string | undefined {
  const names = subject.filter(({ type }) => type === 'CN');
  if (names.length > 1) refuse('it has more than one common name.');
  return names[0]?.value;
}

function readNames(
  extensions: readonly Extension[],
  commonName: string | undefined,
): GeneralName[] {
  const extension = extensions.find(({ oid }) => oid === OID.subjectAltName);
  if (extension === undefined) return commonName === undefined ? [] : nameOfCommonName(commonName);
  const names = distinctNames(readGeneralNames(extension.value).map(lowerName));
  if (names.length > MAX_NAMES) refuse(`it has more than ${MAX_NAMES} names.`);
  if (commonName !== undefined && !holds(names, commonName)) {
    refuse('its common name is not among its names.');
  }
  return names;
}

function lowerName(name: GeneralName): GeneralName {
  return name.type === 'dns' ? { type: 'dns', value: name.value.toLowerCase() } : name;
}

/** Lower-cases ASCII letters of what can only be a DNS name; other common names keep their case. */
function lowerDnsName(value: string): string {
  return /^[A-Za-z0-9.*-]+$/.test(value) ? value.toLowerCase() : value;
}

function nameOfCommonName(commonName: string): GeneralName[] {
  if (isIP(commonName) !== 0) return [{ type: 'ip', value: normalizeIpAddress(commonName) }];
  return /^[\x21-\x7e]+$/.test(commonName) ? [{ type: 'dns', value: commonName }] : [];
}

function holds(names: readonly GeneralName[], commonName: string): boolean {
  const wanted =
    isIP(commonName) === 0 || commonName.includes('%')
      ? commonName
      : normalizeIpAddress(commonName);
  return names.some(
    ({ type, value }) => value === wanted || (type === 'dns' && value === wanted.toLowerCase()),
  );
}

function refuse(problem: string, cause?: unknown): never {
  const sentence = problem.replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase());
  throw new GigvaultError('BAD_CSR', `The certification request is refused: ${sentence}`, {
    cause,
  });
}

/** What a request is built from. */
export interface CertificationRequestFields {
  readonly privateKey: KeyObject;
  readonly subject: readonly Attribute[];
  /** Empty: the request has no subjectAltName. */
  readonly subjectAltName: readonly GeneralName[];
}

/** CertificationRequest, DER, signed by the private key. Throws INVALID_ARGUMENT for names that cannot be encoded, BAD_PUBLIC_KEY for keys of unknown kind. */
export function buildCertificationRequest({
  privateKey,
  subject,
  subjectAltName,
}: CertificationRequestFields): Buffer {
  const info = buildRequestInfo(subject, publicKeyInfoOf(privateKey), subjectAltName);
  return assembleSigned(info, signatureAlgorithm(keyTypeOf(privateKey)), signTbs(privateKey, info));
}

/** CertificationRequestInfo, DER: for keys that sign elsewhere. */
export function buildRequestInfo(
  subject: readonly Attribute[],
  publicKey: PublicKeyInfo,
  subjectAltName: readonly GeneralName[],
): Buffer {
  const names = encodeExtension(
    OID.subjectAltName,
    subject.length === 0,
    encodeGeneralNames(subjectAltName),
  );
  const request = sequence(oid(OID.extensionRequest), set(sequence(names)));
  return sequence(
    integer(0),
    encodeName(subject),
    publicKey.spki,
    contextConstructed(0, ...(subjectAltName.length === 0 ? [] : [request])),
  );
}
