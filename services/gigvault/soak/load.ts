import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { RPC } from '@gigvault/rpc/contracts';
import { buildOcspRequest } from '@gigvault/x509/ocsp-client';
import { issuanceRequests } from '../bench/issuance-requests.ts';
import type { SuiteProcess } from '../src/composition/one-process.ts';

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
  const issuers = suite.broker.client('ra', RPC.issuer, 'ca');
  const nextRequest = await issuanceRequests(issuers, 'acme:soak');
  const listed = await suite.broker.client('crl', RPC.issuer, 'ca').listIssuers({});
  const issuer = listed.issuers.find(({ issuerId }) => issuerId === 'issuing')!.certificate;
  const ocsp = suite.running().find(({ name }) => name === 'ocsp')!;
  const answer = ocsp.routes.find(({ route }) => route.method === 'POST')!.route;
  return {
    async issue() {
      const request = nextRequest();
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
