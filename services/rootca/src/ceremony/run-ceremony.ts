import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import type { Clock } from '@gigvault/time/clock';
import type { Plan } from '../plan/plan.ts';
import { createRoot } from './create-root.ts';
import { issueRootCrl } from './issue-root-crl.ts';
import { newPassphrase, protectRootKey } from './protect-root-key.ts';
import { newMemoryRootKey } from './root-key.ts';
import { signSubordinateCa } from './sign-subordinate-ca.ts';
import { startTranscript } from './transcript.ts';

/** PKCS #10 requests of the CAs below the root, DER. */
export interface CeremonyRequests {
  readonly issuingCsr: Buffer;
  readonly servicesCsr: Buffer;
}

/** What a ceremony leaves behind. Certificates and CRL are DER. */
export interface CeremonyResult {
  readonly rootCertificate: Buffer;
  readonly issuingCertificate: Buffer;
  readonly servicesCertificate: Buffer;
  readonly rootCrl: Buffer;
  /** Signed JSON, for verifyTranscript. */
  readonly transcript: string;
  /** PEM, `ENCRYPTED PRIVATE KEY`. Store it with mode 0600. */
  readonly encryptedRootKey: string;
  /** Show it once; store it nowhere. */
  readonly passphrase: string;
}

/**
 * The whole hierarchy in one sitting: root, both CAs below it, the root's CRL, the signed transcript. Afterwards the root's key exists only
 * encrypted, but for what the garbage collector has not yet overwritten. No network, no files.
 * Errors: those of signSubordinateCa.
 */
export async function runCeremony(
  plan: Plan,
  requests: CeremonyRequests,
  clock: Clock,
): Promise<CeremonyResult> {
  const transcript = startTranscript(clock);
  transcript.note('read the plan', canonicalJson(plan));

  const key = newMemoryRootKey();
  const root = await createRoot(plan, key, clock);
  transcript.note('made the root key', root.certificate.publicKey.spki);
  transcript.note('signed the root certificate', root.certificate.der);

  const issuing = await signSubordinateCa(root, 'issuing', requests.issuingCsr, clock);
  transcript.note('signed the issuing CA', issuing.der);
  const services = await signSubordinateCa(root, 'services', requests.servicesCsr, clock);
  transcript.note('signed the services CA', services.der);

  const rootCrl = await issueRootCrl(root, clock);
  transcript.note('issued the root CRL', rootCrl);

  const passphrase = newPassphrase();
  const encryptedRootKey = protectRootKey(key.privateKey, passphrase);
  transcript.note('encrypted the root key', encryptedRootKey);
  return {
    rootCertificate: root.certificate.der,
    issuingCertificate: issuing.der,
    servicesCertificate: services.der,
    rootCrl,
    transcript: await transcript.sign(root),
    encryptedRootKey,
    passphrase,
  };
}
