import { createHash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  GeneralName,
  IssuedCertificate,
  IssueInternalCertificateRequest,
} from '@gigvault/proto/ca/v1/issuance';
import { type PeerName, spiffeId } from '@gigvault/rpc/service-name';
import { hostOf } from '@gigvault/x509/general-name';
import { readName } from '@gigvault/x509/name';
import { type PublicKeyInfo, readPublicKey } from '@gigvault/x509/public-key';
import type { KeyDirectory } from '../ports/signer.ts';
import { type IssueDeps, issueCertificate } from './issue-certificate.ts';
import { INTERNAL_PROFILES, type InternalProfile } from './profile-table.ts';

/** What internal issuance needs. */
export interface IssueInternalDeps extends IssueDeps {
  /** As `gigvault.local`. */
  readonly trustDomain: string;
  /** As `https://localhost:8443`: what the public listener is called. */
  readonly publicUrl: string;
  readonly keys: KeyDirectory;
}

/** Which peers may have which certificate. `any`: every authenticated peer, for itself. */
const MAY_HAVE: Readonly<Record<InternalProfile, 'any' | readonly PeerName[]>> = {
  service: 'any',
  edge: ['edge', 'gigvault'],
  'ocsp-signer': ['ocsp'],
};

/**
 * Issues a certificate that GigVault itself runs on. Who it names comes from the caller's identity, never from the request;
 * the flow underneath is the same. The audit gate does not apply: without these certificates the audit service cannot catch up.
 * Errors: FORBIDDEN, UNKNOWN_PROFILE, and those of issueCertificate.
 */
export async function issueInternalCertificate(
  deps: IssueInternalDeps,
  request: IssueInternalCertificateRequest,
  peer: PeerName,
): Promise<IssuedCertificate> {
  const profile = checkPeer(request.profile, peer);
  const names = await namesFor(deps, profile, request, peer);
  return issueCertificate(deps, {
    requestId: internalRequestId(peer, request.requestId),
    issuerId: profile === 'ocsp-signer' ? request.issuerId : '',
    profile,
    profileHash: deps.profiles.get(profile)?.hash ?? '',
    certificationRequest: request.certificationRequest,
    ...names,
    ...(profile === 'ocsp-signer' ? { heldKey: await responderKey(deps.keys, request) } : {}),
    notBefore: 0,
    notAfter: 0,
    requester: `service:${peer}`,
    tenantId: '',
    protocol: 'internal',
    internal: true,
  });
}

function checkPeer(name: string, peer: PeerName): InternalProfile {
  const profile = INTERNAL_PROFILES.find((internal) => internal === name);
  if (profile === undefined) {
    throw new GigvaultError('UNKNOWN_PROFILE', `Internal profile '${name}' does not exist.`);
  }
  const peers = MAY_HAVE[profile];
  if (peers === 'any' || peers.includes(peer)) return profile;
  throw new GigvaultError(
    'FORBIDDEN',
    `${peer} may not have a certificate of profile '${profile}'.`,
  );
}

async function namesFor(
  deps: IssueInternalDeps,
  profile: InternalProfile,
  request: IssueInternalCertificateRequest,
  peer: PeerName,
): Promise<{ commonName: string; subjectAltName: GeneralName[] }> {
  switch (profile) {
    case 'service':
      return {
        commonName: '',
        subjectAltName: [{ type: 'uri', value: spiffeId(deps.trustDomain, peer) }],
      };
    case 'edge':
      return { commonName: '', subjectAltName: listenerNames(deps.publicUrl) };
    case 'ocsp-signer':
      return { commonName: await responderName(deps, request.issuerId), subjectAltName: [] };
  }
}

/** The public URL's host, and for `localhost` the loopback addresses that it means. */
function listenerNames(publicUrl: string): GeneralName[] {
  const named = hostOf(publicUrl);
  if (named.value !== 'localhost') return [named];
  return [named, { type: 'ip', value: '127.0.0.1' }, { type: 'ip', value: '::1' }];
}

/** A UUID (version 8, RFC 9562 §5.8) that only this peer's request id gives: nobody can take another's id. */
function internalRequestId(peer: PeerName, requestId: string): string {
  const hex = createHash('sha256')
    .update(`internal ${peer} ${requestId.toLowerCase()}`)
    .digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}

/** `OCSP <commonName of the issuer>`, within the 64 characters of a commonName. */
async function responderName(deps: IssueInternalDeps, issuerId: string): Promise<string> {
  const { certificate } = await deps.issuers.get(issuerId);
  const issuerName = readName(certificate.subject).find(({ type }) => type === 'CN')?.value;
  return `OCSP ${issuerName ?? issuerId}`.slice(0, 64);
}

/**
 * keymgr signs no certification requests, so a responder sends the subjectPublicKeyInfo of its key in the request's place; that keymgr
 * holds this key is the proof of possession. Its first key is `ocsp-<issuerId>`; each revocation brings the next, `ocsp-<issuerId>-K2` and
 * so on. Errors: BAD_CSR, KEY_NOT_FOUND.
 */
async function responderKey(
  keys: KeyDirectory,
  { issuerId, certificationRequest }: IssueInternalCertificateRequest,
): Promise<PublicKeyInfo> {
  const first = `ocsp-${issuerId}`;
  let spki: Buffer | undefined = await keys.publicKeyOf(first);
  for (let number = 2; spki !== undefined; number++) {
    if (spki.equals(certificationRequest)) return readPublicKey(spki);
    spki = await publicKeyIfAny(keys, `${first}-K${number}`);
  }
  throw new GigvaultError('BAD_CSR', `This is not a public key of '${first}'.`);
}

async function publicKeyIfAny(keys: KeyDirectory, keyId: string): Promise<Buffer | undefined> {
  try {
    return await keys.publicKeyOf(keyId);
  } catch (error) {
    if (error instanceof GigvaultError && error.code === 'KEY_NOT_FOUND') return undefined;
    throw error;
  }
}
