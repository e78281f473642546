import { readFileSync } from 'node:fs';
import { connect, constants } from 'node:http2';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';

/** What a gRPC server answers a call with an empty message: its `grpc-status`, 0 for success (grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export interface GrpcAnswer {
  readonly status: number;
  readonly message: string;
}

/** The TLS identity of a peer of a PKI, by its name. */
export function identitiesOf(dataDir: string): (peer: string) => SecureContextOptions {
  const file = (name: string) => readFileSync(join(dataDir, 'tls', name));
  return (peer) => ({
    ca: file('services-ca.crt'),
    cert: file(`${peer}.crt`),
    key: file(`${peer}.key`),
    allowPartialTrustChain: true,
  });
}

/**
 * Calls a method as a peer with this TLS identity, without any of our own client's code. Rejects when the handshake
 * fails.
 *
 * @param address `host:port`
 * @param method as `gigvault.ca.v1.IssuerService/ListIssuers`
 */
export function grpcCall(
  address: string,
  method: string,
  tls: SecureContextOptions,
): Promise<GrpcAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://${address}`, {
      ...tls,
      // The server's name is a SPIFFE ID. SNI has to be there, and must not be an address.
      servername: 'callee.gigvault.local',
      checkServerIdentity: () => undefined,
      ALPNProtocols: ['h2'],
    } as never);
    session.on('error', reject);
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: `/${method}`,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    });
    stream.on('error', reject);
    const heard = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] === undefined) return;
      resolve({
        status: Number(headers['grpc-status']),
        message: decodeURIComponent(String(headers['grpc-message'] ?? '')),
      });
    };
    // A refusal without a body comes in the headers alone.
    stream.on('response', heard);
    stream.on('trailers', heard);
    stream.on('close', () => {
      session.close();
      reject(new Error('the stream ended without a status'));
    });
    stream.resume();
    // One message: not compressed, of length 0.
    stream.end(Buffer.alloc(5));
  });
}
