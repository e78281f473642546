import { readFileSync } from 'node:fs';
import { type AcmeClient, createAcmeClient } from '@gigvault/testkit/acme-client';
import { startHttp01Responder } from '@gigvault/testkit/http-01-responder';
import { httpClient } from '@gigvault/testkit/http-client';
import type { PkiProcess } from '@gigvault/testkit/pki-process';
import { readCertificate } from '@gigvault/x509/certificate';
import { buildOcspRequest, readOcspResponse } from '@gigvault/x509/ocsp-client';
import { fromPem } from '@gigvault/x509/pem';

/** A certificate that a bench asks about. */
export interface Leaf {
  readonly serialNumber: string;
  /** DER. */
  readonly der: Buffer;
  /** The issuer's certificate, DER. */
  readonly issuer: Buffer;
}

/** A PKI as a client of it and a relying party see it. */
export interface PkiClient {
  issue(): Promise<Leaf>;
  /** @param reason CRLReason */
  revoke(leaf: Leaf, reason: number): Promise<void>;
  /** What OCSP says. */
  status(
    issuer: Buffer,
    serialNumber: string,
    nonce?: Buffer,
  ): Promise<'good' | 'unknown' | 'revoked'>;
  /** The CRL of the issuing CA's first shard, DER. */
  crl(): Promise<Buffer>;
  close(): Promise<void>;
}

/** A client with a new ACME account. */
export async function pkiClient(pki: PkiProcess): Promise<PkiClient> {
  const http = httpClient(readFileSync(pki.rootFile));
  const responder = await startHttp01Responder(pki.ports.http01);
  const { publicUrl } = pki;
  const acme: AcmeClient = await createAcmeClient({ http, publicUrl, responder, patience: 5_000 });
  let issued = 0;
  return {
    async issue() {
      const chain = await acme.certificate([`n${issued++}.localhost`]);
      const [der, issuer] = fromPem(chain, 'CERTIFICATE');
      if (!der || !issuer) throw new Error('the chain is too short');
      return { serialNumber: readCertificate(der).serialNumber, der, issuer };
    },
    async revoke({ der }, reason) {
      const { status, text } = await acme.revoke(der, reason);
      if (status !== 200) throw new Error(`not revoked: ${text}`);
    },
    async status(issuer, serialNumber, nonce) {
      const { body } = await http.fetch(`${pki.statusUrl}/ocsp`, {
        method: 'POST',
        headers: { 'content-type': 'application/ocsp-request' },
        body: buildOcspRequest(issuer, serialNumber, nonce),
      });
      const said = readOcspResponse(body).data.responses[0]?.status;
      return typeof said === 'object' ? 'revoked' : (said ?? 'unknown');
    },
    async crl() {
      const { status, body } = await http.fetch(`${pki.statusUrl}/crl/issuing/0.crl`);
      if (status !== 200) throw new Error(`the CRL is not served: ${status}`);
      return body;
    },
    async close() {
      http.close();
      await responder.stop();
    },
  };
}
