import { isSignedBy, type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { isCrlOf } from '../ceremony/check-hierarchy.ts';
import { issueRootCrl } from '../ceremony/issue-root-crl.ts';
import type { Root } from '../ceremony/root.ts';
import { HIERARCHY_FILES, requestStep } from '../ceremony/root-files.ts';
import { requestedCa, signSubordinateCa } from '../ceremony/sign-subordinate-ca.ts';
import type { SubordinateKind } from '../plan/plan.ts';
import type { CeremonyFiles } from '../ports/ceremony-files.ts';
import type { CeremonyDeps, CeremonyOrder } from './ceremony-order.ts';
import type { Ledger } from './progress.ts';

/**
 * Certificates of the CAs below the root, and its CRL: each is on the disk before it is noted, and what is noted is not signed again. What a process
 * has written that died before it could note it is noted now. What it had only signed never left its memory.
 */
export async function signHierarchy(
  order: CeremonyOrder,
  { files, operator, clock }: CeremonyDeps,
  ledger: Ledger,
  root: Root,
): Promise<void> {
  for (const kind of ['issuing', 'services'] as const) {
    const step = `signed the ${kind} CA`;
    if (ledger.hasNoted(step)) continue;
    const [request] = fromPem(await order.request(kind), 'CERTIFICATE REQUEST') as [Buffer];
    const { publicKey } = requestedCa(root.plan, kind, request);
    let certificate = writtenCertificate(files, kind, root);
    if (certificate !== undefined && !certificate.spki.equals(publicKey.spki)) {
      // A request was exchanged while nobody held the ceremony: strangers are told of what the root has signed.
      ledger.note(`${step} for another request`, certificate.der);
      await ledger.save();
      certificate = undefined;
    }
    if (certificate === undefined) {
      certificate = await signSubordinateCa(root, kind, request, clock);
      await files.write(HIERARCHY_FILES[kind], toPem('CERTIFICATE', certificate.der), 0o644);
    }
    ledger.note(requestStep(kind), request);
    ledger.note(step, certificate.der);
    await ledger.save();
    operator.say(`✔ ${step}`);
  }
  const step = 'issued the root CRL';
  if (!ledger.hasNoted(step)) {
    let der = writtenCrl(files, root);
    if (der === undefined) {
      der = await issueRootCrl(root, clock);
      await files.write(HIERARCHY_FILES.rootCrl, toPem('X509 CRL', der), 0o644);
    }
    ledger.note(step, der);
    operator.say(`✔ ${step}`);
  }
  await ledger.save({ stage: 'signed' });
}

/** Undefined: there is none that this root has signed. Errors: INVALID_ARGUMENT for a file that is no certificate. */
function writtenCertificate(
  files: CeremonyFiles,
  kind: SubordinateKind,
  root: Root,
): ParsedCertificate | undefined {
  const pem = files.read(HIERARCHY_FILES[kind]);
  if (pem === undefined) return undefined;
  const certificate = readCertificate(fromPem(pem, 'CERTIFICATE')[0] as Buffer);
  return isSignedBy(certificate, root.certificate) ? certificate : undefined;
}

function writtenCrl(files: CeremonyFiles, root: Root): Buffer | undefined {
  const pem = files.read(HIERARCHY_FILES.rootCrl);
  if (pem === undefined) return undefined;
  const der = fromPem(pem, 'X509 CRL')[0] as Buffer;
  return isCrlOf(readCertList(der), root.certificate) ? der : undefined;
}
