import { X509Certificate } from 'node:crypto';
import { createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { type PeerName, SERVICE_NAMES, spiffeId } from './service-name.ts';

/** What a process presents and trusts on the wire. PEM. */
export interface MtlsMaterial {
  /** The `services` CA: the only anchor. The root is not one, so no other CA of the house can make a peer. */
  readonly servicesCa: string;
  readonly certificate: string;
  readonly privateKey: string;
}

/** A peer's identity: its material, which may be replaced while calls are in flight. */
export interface MtlsIdentity {
  readonly peer: PeerName;
  readonly trustDomain: string;
  current(): MtlsMaterial;
  /** New connections use the new material; old ones go on until they close. */
  replace(material: MtlsMaterial): void;
  onReplace(listener: (material: MtlsMaterial) => void): void;
}

/** An identity that starts with this material. */
export function createMtlsIdentity(
  peer: PeerName,
  trustDomain: string,
  material: MtlsMaterial,
): MtlsIdentity {
  let now = material;
  const listeners: ((material: MtlsMaterial) => void)[] = [];
  return {
    peer,
    trustDomain,
    current: () => now,
    replace(next) {
      now = next;
      for (const listener of listeners) listener(next);
    },
    onReplace: (listener) => void listeners.push(listener),
  };
}

/** TLS options of either side. TLS 1.3 only (requirement X1). The anchor is no root, hence the partial chain. */
function contextOptions(material: MtlsMaterial) {
  return {
    ca: material.servicesCa,
    cert: material.certificate,
    key: material.privateKey,
    minVersion: 'TLSv1.3' as const,
    allowPartialTrustChain: true,
  };
}

/** TLS options of a client with this identity. */
export function clientTls(identity: MtlsIdentity) {
  return contextOptions(identity.current());
}

/**
 * TLS options of a server with this identity, which follow its replacement. node:tls drops `allowPartialTrustChain`
 * from a server's own options, so each handshake gets its context by SNI; a client without SNI meets a context that
 * trusts nobody below the root.
 */
export function serverTls(identity: MtlsIdentity) {
  let context = createSecureContext(contextOptions(identity.current()));
  identity.onReplace((material) => {
    context = createSecureContext(contextOptions(material));
  });
  return {
    ...contextOptions(identity.current()),
    SNICallback: (_name: string, done: (error: Error | null, context?: SecureContext) => void) =>
      done(null, context),
  };
}

/** Credentials of a gRPC server that requires client certificates. */
export class MtlsServerCredentials extends ServerCredentials {
  constructor(identity: MtlsIdentity) {
    const options = serverTls(identity);
    super({ ...options, requestCert: true, rejectUnauthorized: true }, options);
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** Credentials of a gRPC client that talks to this callee and nobody else. */
export function channelCredentials(identity: MtlsIdentity, callee: PeerName): ChannelCredentials {
  const expected = spiffeId(identity.trustDomain, callee);
  return ChannelCredentials.createFromSecureContext(createSecureContext(clientTls(identity)), {
    checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
      certificate.subjectaltname === `URI:${expected}`
        ? undefined
        : new Error(
            `expected ${expected}, the server is ${certificate.subjectaltname ?? 'nameless'}`,
          ),
  });
}

const PEERS: readonly PeerName[] = [...SERVICE_NAMES, 'gigvault', 'edge'];

/** The peer that a verified certificate names, or undefined when it names none of this trust domain. */
export function peerOf(
  certificate: PeerCertificate | undefined,
  trustDomain: string,
): PeerName | undefined {
  // Exactly one name and that a SPIFFE ID: a certificate with more is not one of ours.
  return PEERS.find((peer) => certificate?.subjectaltname === `URI:${spiffeId(trustDomain, peer)}`);
}

/**
 * Whether a certificate is to be replaced at `now`, Unix milliseconds: two thirds of its life are over, or it is not valid yet, which a clock
 * that was ahead leaves behind.
 */
export function isRenewalDue(certificatePem: string, now: number): boolean {
  const { validFrom } = new X509Certificate(certificatePem);
  return now < Date.parse(validFrom) || now >= renewalTime(certificatePem);
}

/** Unix milliseconds at which two thirds of the certificate's life are over. */
export function renewalTime(certificatePem: string): number {
  const certificate = new X509Certificate(certificatePem);
  const notBefore = Date.parse(certificate.validFrom);
  return notBefore + ((Date.parse(certificate.validTo) - notBefore) * 2) / 3;
}
