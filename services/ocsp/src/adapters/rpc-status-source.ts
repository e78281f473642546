import { createBatcher } from '@gigvault/database/batcher';
import type { CertificateService, CertificateStatus } from '@gigvault/proto/ca/v1/certificate';
import type { Client } from '@gigvault/rpc/call';
import type { CertificateState } from '../ports/certificate-state.ts';
import type { StatusSource } from '../ports/status-source.ts';

/** How long `ca` may take; an OCSP client waits no longer than a few seconds. Milliseconds. */
const DEADLINE = 2_000;

/** GetCertificateStatus takes 100 serial numbers. */
const MAX_ITEMS = 100;

/** Asks `ca`: one call at a time an issuer, with all serial numbers that came meanwhile; at most `maxOpen` wait. */
export function rpcStatusSource(ca: Client<CertificateService>, maxOpen: number): StatusSource {
  function batcherOf(issuerId: string) {
    return createBatcher<string, CertificateState | undefined>({
      name: `ocsp.ask-${issuerId}`,
      maxItems: MAX_ITEMS,
      maxQueue: maxOpen,
      run: async (serialNumbers) => {
        try {
          return await askAll(ca, issuerId, serialNumbers);
        } catch (error) {
          // Told to each, not thrown: asking again in halves would only add load.
          return serialNumbers.map(() => ({ ok: false as const, error }));
        }
      },
    });
  }
  const batchers = new Map<string, ReturnType<typeof batcherOf>>();
  return {
    ask(issuerId, serialNumber) {
      const batcher = batchers.get(issuerId) ?? batcherOf(issuerId);
      batchers.set(issuerId, batcher);
      return batcher.submit(serialNumber);
    },
  };
}

async function askAll(
  ca: Client<CertificateService>,
  issuerId: string,
  serialNumbers: readonly string[],
) {
  const request = { issuerId, serialNumbers: [...serialNumbers] };
  const { statuses } = await ca.getCertificateStatus(request, { deadline: DEADLINE });
  const byNumber = new Map(statuses.map((status) => [status.serialNumber, toState(status)]));
  return serialNumbers.map((serialNumber) => ({
    ok: true as const,
    value: byNumber.get(serialNumber),
  }));
}

function toState(status: CertificateStatus): CertificateState | undefined {
  if (status.status !== 'good' && status.status !== 'revoked') return undefined;
  return {
    status: status.status,
    revokedAt: status.revokedAt,
    reasonCode: status.reasonCode,
    notAfter: status.notAfter,
  };
}
