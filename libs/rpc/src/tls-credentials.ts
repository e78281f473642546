import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';

/** Credentials of a gRPC server that asks for no client certificate: TLS 1.3 (requirement X1), with a certificate that may be replaced. */
export class TlsCredentials extends ServerCredentials {
  constructor(tls: SecureContextOptions) {
    super({ minVersion: 'TLSv1.3' }, withVersion(tls));
  }

  /** New connections use this. */
  replace(tls: SecureContextOptions): void {
    this.updateSecureContextOptions(withVersion(tls));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function withVersion(tls: SecureContextOptions): SecureContextOptions {
  return { ...tls, minVersion: 'TLSv1.3' };
}
