import { fromPem, toPem } from '@gigvault/x509/pem';
import { issueRootCrl } from '../ceremony/issue-root-crl.ts';
import type { Root } from '../ceremony/root.ts';
import { signSubordinateCa } from '../ceremony/sign-subordinate-ca.ts';
import { HIERARCHY_FILES } from '../commands/root-directory.ts';
import type { CeremonyDeps, CeremonyOrder } from './ceremony-order.ts';
import type { Ledger } from './progress.ts';

/**
 * Certificates of the CAs below the root, and its CRL: each is on the disk before it is noted, and what is noted is not signed again. One that was signed
 * and not noted has left nothing but this machine's memory, and is replaced.
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
    const { der } = await signSubordinateCa(root, kind, request, clock);
    await files.write(HIERARCHY_FILES[kind], toPem('CERTIFICATE', der), 0o644);
    ledger.note(`read the request of the ${kind} CA`, request);
    ledger.note(step, der);
    await ledger.save();
    operator.say(`✔ ${step}`);
  }
  const step = 'issued the root CRL';
  if (!ledger.hasNoted(step)) {
    const der = await issueRootCrl(root, clock);
    await files.write(HIERARCHY_FILES.rootCrl, toPem('X509 CRL', der), 0o644);
    ledger.note(step, der);
    operator.say(`✔ ${step}`);
  }
  await ledger.save({ stage: 'signed' });
}
