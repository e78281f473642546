import { hash } from 'node:crypto';
import type { Root } from '../ceremony/root.ts';
import { HIERARCHY_FILES, ROOT_FILES } from '../ceremony/root-files.ts';
import type { CustodyRecord } from '../custody/custody-record.ts';
import type { CeremonyDeps, CeremonyOrder } from './ceremony-order.ts';
import { printableRecord } from './printable-record.ts';
import type { Ledger } from './progress.ts';

/**
 * The record to print, the signed transcript with the sum of every file, and all of it in the folder that travels; the transcript comes last, so that a
 * folder with one is whole.
 */
export async function writeBundle(
  order: CeremonyOrder,
  { files, bundle, operator }: CeremonyDeps,
  ledger: Ledger,
  root: Root,
): Promise<void> {
  const { room, steps, custody } = ledger.progress;
  const facts = {
    isRehearsal: order.isRehearsal,
    custody: custody as CustodyRecord,
    room,
  };
  const contents: Record<string, string> = { [ROOT_FILES.plan]: order.planText };
  for (const name of Object.values(HIERARCHY_FILES)) contents[name] = files.read(name) as string;
  contents[ROOT_FILES.record] = printableRecord({ ...order, ...facts, steps, contents });
  const sums = Object.entries(contents).map(([name, text]) => [name, sha256(text)] as const);
  const transcript = await ledger.sign(root, { ...facts, files: Object.fromEntries(sums) });
  for (const folder of [files, bundle]) {
    for (const [name, text] of Object.entries(contents)) await folder.write(name, text, 0o644);
    await folder.write(ROOT_FILES.transcript, transcript, 0o644);
  }
  await ledger.save({ stage: 'bundled' });
  operator.say('✔ the bundle is written, and the transcript signed by the root');
}

function sha256(text: string): string {
  return hash('sha256', text);
}
