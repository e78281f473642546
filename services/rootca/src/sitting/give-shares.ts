import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { LOCKED_STEP, readBackStep } from '../ceremony/custody-steps.ts';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import { askForShares, TRIES } from '../custody/collect-shares.ts';
import { type CustodyRecord, writeCustodyRecord } from '../custody/custody-record.ts';
import { decodeShare, encodeShare, type Share, shareProblem } from '../custody/share.ts';
import { recombine, requireOfSet, wipe } from '../custody/split-secret.ts';
import type { Operator } from '../ports/operator.ts';
import type { CeremonyDeps, CeremonyOrder } from './ceremony-order.ts';
import type { MadeRoot } from './make-root.ts';
import type { Ledger } from './progress.ts';

const WORDS_A_LINE = 4;
const COLUMN = 17;

/**
 * Shows each holder a share, one at a time, and lets it be typed back. When all have theirs the key is locked under the secret. Errors: INVALID_ARGUMENT when a share is not read back; KEY_UNAVAILABLE.
 */
export async function giveShares(
  { custody }: CeremonyOrder,
  { operator, files, keeper }: CeremonyDeps,
  ledger: Ledger,
  { secret, shares }: MadeRoot,
): Promise<void> {
  const record = ledger.progress.custody as CustodyRecord;
  try {
    // Before anybody copies one.
    await requireSameSecret(record, shares, secret);
    for (const share of shares) {
      const { confirmed } = ledger.progress;
      if (confirmed.includes(share.index)) continue;
      const name = custody.holders[share.index - 1] as string;
      await giveShare(operator, record, share, name);
      ledger.note(readBackStep(share.index, custody.holders.length, name), record.setId);
      await ledger.save({ confirmed: [...confirmed, share.index] });
    }
    await keeper.lock(files.read(keeper.file.name) as string, secret);
    ledger.note(LOCKED_STEP, record.setId);
    await files.write(ROOT_FILES.custody, writeCustodyRecord(record), 0o644);
    await ledger.save({ stage: 'held', sealedShares: undefined });
  } finally {
    wipe(...shares);
  }
  operator.say(
    `✔ all ${record.holders.length} shares were read back, and the key opens with them only`,
  );
}

/** The secret of holders who have their shares already. Errors: those of askForShares. */
export async function secretOfHolders({ operator }: CeremonyDeps, ledger: Ledger): Promise<Buffer> {
  return askForShares(ledger.progress.custody as CustodyRecord, operator);
}

async function giveShare(
  operator: Operator,
  record: CustodyRecord,
  share: Share,
  name: string,
): Promise<void> {
  const which = `Share ${share.index} of ${record.holders.length}, for ${name}`;
  const id = `share.${share.index}`;
  const words = `${share.isRehearsal ? 'REHEARSAL  ' : ''}${which}\nset ${record.setId}\n\n${inColumns(encodeShare(share))}`;
  operator.say(`\n${which}.\nEverybody else looks away.`);
  await operator.showSecret({ id, text: words });
  let problem = '';
  for (let wrongOnes = 0; wrongOnes < TRIES; ) {
    const typed = await operator.askSecret({
      id,
      text: `${problem}${name}:\nType the words that you have written down.\nEnter alone shows them again.`,
    });
    if (typed.trim() === '') {
      await operator.showSecret({ id, text: words });
      continue;
    }
    const wrong = readBackProblem(record, share, typed);
    if (wrong === undefined) {
      operator.say(`✔ share ${share.index} was read back`);
      return;
    }
    wrongOnes++;
    problem = `✘ ${wrong}\n\n`;
  }
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `${which}, was not read back. The ceremony can go on: give the same command again.`,
  );
}

function readBackProblem(record: CustodyRecord, share: Share, typed: string): string | undefined {
  let read: Share | undefined;
  try {
    read = decodeShare(typed);
    requireOfSet(record, read);
    const isSame = read.index === share.index;
    return isSame ? undefined : `That is share ${read.index}, this is share ${share.index}.`;
  } catch (error) {
    return shareProblem(error);
  } finally {
    if (read !== undefined) wipe(read);
  }
}

/**
 * Shares that open nothing would be found out years later, so no choice of holders may be without the secret. Neighbouring windows have all but one share
 * in common, and the secret is one more point: both are on the same polynomial, and so are all shares.
 */
async function requireSameSecret(
  record: CustodyRecord,
  shares: readonly Share[],
  secret: Buffer,
): Promise<void> {
  for (let end = record.threshold; end <= shares.length; end++) {
    const combined = await recombine(record, shares.slice(end - record.threshold, end));
    const isSame = combined.equals(secret);
    combined.fill(0);
    if (!isSame) throw new GigvaultError('INTERNAL', 'The shares do not give the secret back.');
  }
}

/** As ` 1 abandon      2 ability …`, 68 columns wide. */
function inColumns(words: readonly string[]): string {
  const cells = words.map((word, i) => `${String(i + 1).padStart(4)} ${word}`.padEnd(COLUMN));
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += WORDS_A_LINE) {
    lines.push(
      cells
        .slice(i, i + WORDS_A_LINE)
        .join('')
        .trimEnd(),
    );
  }
  return lines.join('\n');
}
