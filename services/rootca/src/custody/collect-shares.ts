import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Operator } from '../ports/operator.ts';
import { wrapped } from '../text/wrapped.ts';
import type { CustodyRecord } from './custody-record.ts';
import { decodeShare, type Share, shareProblem } from './share.ts';
import { recombine, requireOfSet, wipe } from './split-secret.ts';

/** Wrong answers to one question, after which nobody is asked again. */
export const TRIES = 5;

/**
 * The secret, of shares that holders type, each on a screen of its own. What is wrong with one is said, and it is asked for again.
 * Errors: INVALID_ARGUMENT after 5 wrong ones in a row, and when somebody gives up with an empty line.
 */
export async function askForShares(record: CustodyRecord, operator: Operator): Promise<Buffer> {
  const shares: Share[] = [];
  const names = record.holders.map(({ name }) => name).join(', ');
  const needs = `The key needs ${record.threshold} shares of set ${record.setId}, of ${names}.`;
  operator.say(wrapped('', needs).join('\n'));
  try {
    while (shares.length < record.threshold) {
      const share = await askForShare(record, shares, operator);
      shares.push(share);
      operator.say(`✔ share ${share.index}, ${record.holders[share.index - 1]?.name}`);
    }
    return await recombine(record, shares);
  } finally {
    wipe(...shares);
  }
}

/** The secret, of shares in files. Errors: INVALID_ARGUMENT that names the first file that is wrong, and those of recombine. */
export async function sharesOfFiles(
  record: CustodyRecord,
  files: readonly { readonly path: string; readonly text: string }[],
): Promise<Buffer> {
  const shares: Share[] = [];
  try {
    for (const { path, text } of files) shares.push(shareOfFile(record, shares, path, text));
    return await recombine(record, shares);
  } finally {
    wipe(...shares);
  }
}

async function askForShare(
  record: CustodyRecord,
  had: readonly Share[],
  operator: Operator,
): Promise<Share> {
  const which = `Share ${had.length + 1} of the ${record.threshold} that are needed`;
  let problem = '';
  for (let tries = 1; tries <= TRIES; tries++) {
    const answer = await operator.askSecret({
      id: `held-share.${had.length + 1}`,
      text: `${problem}${which}. Type its words:`,
    });
    if (answer.trim() === '') break;
    try {
      return checkedShare(record, had, answer);
    } catch (error) {
      problem = `✘ ${shareProblem(error)}\n\n`;
    }
  }
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `${record.threshold} shares are needed, ${had.length} came. Nothing was changed.`,
  );
}

function shareOfFile(
  record: CustodyRecord,
  had: readonly Share[],
  path: string,
  text: string,
): Share {
  try {
    return checkedShare(record, had, text);
  } catch (cause) {
    const known = asGigvaultError(cause);
    // Without the hint: this is shown on a screen that nobody clears.
    throw new GigvaultError(known.code, `${path}: ${known.message}`, { cause });
  }
}

function checkedShare(record: CustodyRecord, had: readonly Share[], text: string): Share {
  const share = decodeShare(text);
  try {
    requireOfSet(record, share);
    requireOther(record, had, share);
    return share;
  } catch (error) {
    wipe(share);
    throw error;
  }
}

function requireOther({ holders }: CustodyRecord, had: readonly Share[], { index }: Share): void {
  if (!had.some((earlier) => earlier.index === index)) return;
  const name = holders[index - 1]?.name;
  throw new GigvaultError('INVALID_ARGUMENT', `Share ${index}, ${name}, was given already.`);
}
