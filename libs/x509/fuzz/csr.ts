import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { parseCertificationRequest } from '../src/certification-request.ts';
import { normalizeGeneralName } from '../src/general-name.ts';

/** Jazzer.js's entry: a certification request is read, or refused with BAD_CSR or BAD_PUBLIC_KEY; its names are taken or REJECTED_IDENTIFIER. */
export function fuzz(data: Buffer): void {
  try {
    const { subjectAltName } = parseCertificationRequest(data);
    for (const name of subjectAltName)
      normalizeGeneralName(name, { development: true, wildcard: true });
  } catch (error) {
    if (!(error instanceof GigvaultError) || !REFUSALS.has(error.code)) throw error;
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['BAD_CSR', 'BAD_PUBLIC_KEY', 'REJECTED_IDENTIFIER']);
