import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Operator } from '../ports/operator.ts';
import type { CustodyRecord } from './custody-record.ts';
import { decodeShare, type Share } from './share.ts';
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
  operator.say(`The key needs ${record.threshold} shares of set ${record.setId}, of ${names}.`);
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

/** The secret, of shares in files. Errors: INVALID_ARGUMENT with a problem for each file, and those of recombine. */
export async function sharesOfFiles(
  record: CustodyRecord,
  files: readonly { readonly path: string; readonly text: string }[],
): Promise<Buffer> {
  const shares: Share[] = [];
  try {
    const problems = files.flatMap(({ path, text }) => {
      const problem = problemOf(() => shares.push(checkedShare(record, shares, text)));
      return problem === undefined ? [] : [{ pointer: path, message: problem }];
    });
    const [first] = problems;
    if (first !== undefined) {
      const why = `${first.pointer}: ${first.message}`;
      throw new GigvaultError('INVALID_ARGUMENT', why, { problems });
    }
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
  for (let tries = 1; ; tries++) {
    const answer = await operator.askSecret({
      id: `held-share.${had.length + 1}`,
      text: `Share ${had.length + 1} of the ${record.threshold} that are needed. Type its words:`,
    });
    if (answer.trim() === '') throw givenUp(record, had);
    let share: Share | undefined;
    const problem = problemOf(() => {
      share = checkedShare(record, had, answer);
    });
    if (share !== undefined) return share;
    operator.say(`✘ ${problem}`);
    if (tries === TRIES) throw givenUp(record, had);
  }
}

function checkedShare(record: CustodyRecord, had: readonly Share[], text: string): Share {
  const share = decodeShare(text);
  requireOfSet(record, share);
  if (had.some(({ index }) => index === share.index)) {
    const name = record.holders[share.index - 1]?.name;
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `Share ${share.index}, ${name}, was given already.`,
    );
  }
  return share;
}

function problemOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    const known = asGigvaultError(error);
    if (known.code !== 'INVALID_ARGUMENT') throw error;
    return known.message;
  }
}

function givenUp({ threshold }: CustodyRecord, { length }: readonly Share[]): GigvaultError {
  return new GigvaultError(
    'INVALID_ARGUMENT',
    `${threshold} shares are needed, ${length} came. Nothing was changed.`,
  );
}
