import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';

/** Credentials of a gRPC server: TLS 1.3 (requirement X1), with a certificate that may be replaced. */
export class TlsCredentials extends ServerCredentials {
  /** @param authorities of the client certificates without which nobody connects, PEM; absent: none is asked for */
  constructor(
    tls: SecureContextOptions,
    private readonly authorities?: string | undefined,
  ) {
    const requestCert = authorities !== undefined;
    super(
      { minVersion: 'TLSv1.3', requestCert, rejectUnauthorized: requestCert },
      contextOf(tls, authorities),
    );
  }

  /** New connections use this. */
  replace(tls: SecureContextOptions): void {
    this.updateSecureContextOptions(contextOf(tls, this.authorities));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function contextOf(tls: SecureContextOptions, ca: string | undefined): SecureContextOptions {
  return { ...tls, minVersion: 'TLSv1.3', ...(ca === undefined ? {} : { ca }) };
}
