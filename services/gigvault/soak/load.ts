import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { RPC } from '@gigvault/rpc/contracts';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { buildOcspRequest } from '@gigvault/x509/ocsp-client';
import type { SuiteProcess } from '../src/composition/one-process.ts';

/** Certification requests are made beforehand: a client's work, not the CA's. */
const REQUESTS = 2_000;

/** What the load does, one at a time. */
export interface Load {
  /** Issues a certificate; resolves with its serial number. */
  issue(): Promise<string>;
  revoke(serialNumber: string): Promise<void>;
  /** Asks for a status as an HTTP client does, the socket left out. Rejects unless it is answered. */
  ask(serialNumber: string): Promise<void>;
}

/** The load on a suite that is started. */
export async function createLoad(suite: SuiteProcess): Promise<Load> {
  const issuance = suite.broker.client('ra', RPC.issuance, 'ca');
  const revocation = suite.broker.client('enroll', RPC.revocation, 'ca');
  const { profiles } = await suite.broker.client('ra', RPC.issuer, 'ca').listProfiles({});
  const { issuers } = await suite.broker.client('crl', RPC.issuer, 'ca').listIssuers({});
  const issuer = issuers.find(({ issuerId }) => issuerId === 'issuing')!.certificate;
  const profileHash = profiles.find(({ name }) => name === 'tls-server')!.profileHash;
  const ocsp = suite.running().find(({ name }) => name === 'ocsp')!;
  const answer = ocsp.routes.find(({ route }) => route.method === 'POST')!.route;
  const requests = Array.from({ length: REQUESTS }, (_, i) => {
    const subjectAltName = [{ type: 'dns' as const, value: `n${i}.example.com` }];
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return {
      subjectAltName,
      certificationRequest: buildCertificationRequest({ privateKey, subject: [], subjectAltName }),
    };
  });
  let next = 0;
  return {
    async issue() {
      const request = {
        ...requests[next++ % REQUESTS]!,
        requestId: randomUUID(),
        issuerId: 'issuing',
        profile: 'tls-server',
        profileHash,
        commonName: '',
        notBefore: 0,
        notAfter: 0,
        requester: 'acme:soak',
        tenantId: 'default',
        protocol: 'acme',
      };
      for (;;) {
        try {
          return (await issuance.issueCertificate(request)).serialNumber;
        } catch (error) {
          // As `ra` does on a machine that is busy otherwise: the same request again.
          if (!asGigvaultError(error).row.retry) throw error;
        }
      }
    },
    async revoke(serialNumber) {
      await revocation.revokeCertificate({
        serialNumber,
        issuerId: 'issuing',
        reasonCode: 4,
        actor: 'acme:soak',
      });
    },
    async ask(serialNumber) {
      const reply = await answer.handle({
        method: 'POST',
        url: '/ocsp',
        params: {},
        headers: { 'content-type': 'application/ocsp-request' },
        body: buildOcspRequest(issuer, serialNumber),
      } as never);
      if (reply.status !== 200) throw new Error(`OCSP answered ${reply.status}`);
    },
  };
}
