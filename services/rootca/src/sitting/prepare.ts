import { hash } from 'node:crypto';
import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { fromPem } from '@gigvault/x509/pem';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import { requestedCa } from '../ceremony/sign-subordinate-ca.ts';
import { planHash } from '../plan/plan.ts';
import type { Operator } from '../ports/operator.ts';
import { checkRoom, type RoomFinding } from '../room/check-room.ts';
import { wrapped } from '../text/wrapped.ts';
import type { CeremonyDeps, CeremonyOrder } from './ceremony-order.ts';
import type { Ledger } from './progress.ts';

/** How a transcript tells of answers that nobody typed; what was made is the file. */
export const ANSWERS_STEP = 'took answers from a file';

/**
 * Shows what is to be made, and lets somebody say that it is what was agreed on. Errors: INVALID_ARGUMENT when it is not, or what could not be signed in
 * the end: a CA that outlives the root, a request of another subject or key type; BAD_CSR, BAD_PUBLIC_KEY.
 */
export async function confirmPlan(
  order: CeremonyOrder,
  deps: CeremonyDeps,
  ledger: Ledger,
): Promise<void> {
  const { operator } = deps;
  const { custody, isRehearsal, plan, planText } = order;
  await requireSignable(order);
  const title = isRehearsal ? 'REHEARSAL OF THE KEY CEREMONY' : 'KEY CEREMONY';
  operator.say(`${title}\n${'='.repeat(title.length)}\n`);
  operator.say(planText.trimEnd().replaceAll(/^/gm, '    '));
  operator.say(
    `\nThe plan’s hash is ${planHash(plan).replace(/.{32}$/, '\n                   $&')}`,
  );
  if (!isRehearsal) await showSums(order, operator);
  const opens = `${custody.threshold} of ${custody.holders.length} holders open the root’s key:`;
  operator.say(`\n${wrapped('', `${opens} ${custody.holders.join(', ')}.`).join('\n')}`);
  if (isRehearsal) operator.say('All keys are thrown away at the end.');
  if (ledger.isResumed) {
    const [first] = ledger.progress.steps;
    operator.say(`\nThis ceremony was begun ${first?.at}, and was interrupted.`);
    await requireYes(operator, 'resume', 'Go on with it? Type yes:');
    ledger.note('went on after an interruption', '');
    await ledger.save();
    return;
  }
  await requireYes(operator, 'plan', 'Is all of this as it was agreed on? Type yes:');
  ledger.note('confirmed the plan', canonicalJson(plan));
}

/** Before anybody has copied a share. Hours lie between the root's certificate and the others: equal lives would not do. */
async function requireSignable({ plan, request }: CeremonyOrder): Promise<void> {
  for (const kind of ['issuing', 'services'] as const) {
    if (plan[kind].validityYears >= plan.root.validityYears) {
      throw new GigvaultError('INVALID_ARGUMENT', `The plan’s ${kind} CA would outlive its root.`);
    }
    const [der] = fromPem(await request(kind), 'CERTIFICATE REQUEST') as [Buffer];
    if (requestedCa(plan, kind, der).generation !== 1) {
      throw new GigvaultError(
        'INVALID_ARGUMENT',
        `The request is for a later key of the ${kind} CA: a ceremony signs the first.`,
      );
    }
  }
}

/** As the online machine has shown them, and as `sha256sum` does. */
async function showSums(order: CeremonyOrder, operator: Operator): Promise<void> {
  operator.say('\nSHA-256, as the online machine has shown it:');
  const show = (file: string, text: string) =>
    operator.say(`${file.padEnd(13)} ${hash('sha256', text)}`);
  show(ROOT_FILES.plan, order.planText);
  for (const kind of ['issuing', 'services'] as const) {
    show(`${kind}.csr`, await order.request(kind));
  }
}

/**
 * Looks at the machine and the time. What is not as it should be stands in the transcript with the reason why somebody went on. Errors:
 * INVALID_ARGUMENT when nobody gives one.
 */
export async function lookAround(deps: CeremonyDeps, ledger: Ledger): Promise<void> {
  const { operator, room, clock } = deps;
  const findings: RoomFinding[] = [];
  operator.say('\nThe room');
  for (const { what, found, problem } of checkRoom(await room.look())) {
    operator.say(
      `  ${problem === undefined ? '[ ok ]' : '[warn]'} ${what.padEnd(8)}${folded(found)}`,
    );
    findings.push({
      what,
      found,
      ...(problem !== undefined && { accepted: await acceptance(operator, what, problem) }),
    });
  }
  if (operator.manner !== undefined) {
    const { found, text } = operator.manner;
    findings.push({ what: 'answers', found, accepted: 'by --answers' });
    ledger.note(ANSWERS_STEP, text);
  }
  const now = new Date(clock.now()).toISOString();
  operator.say(`  The clock says ${now}.`);
  await requireYes(operator, 'clock', 'Is that the time (UTC), to a minute? Type yes:');
  findings.push({ what: 'clock', found: now });
  ledger.note('looked at the room', canonicalJson(findings));
  await ledger.save({ room: [...ledger.progress.room, ...findings] });
}

/** A hash has a line of its own. */
function folded(found: string): string {
  return found.replace(/ (?=[0-9a-f]{64}$)/, `\n${' '.repeat(11)}`);
}

async function acceptance(
  operator: Operator,
  what: RoomFinding['what'],
  problem: string,
): Promise<string> {
  const reason = await operator.ask({
    id: `accept.${what}`,
    text: `  ${problem}.\nTo go on all the same, type why; Enter stops:`,
  });
  if (reason.trim() === '') throw stopped(problem);
  return reason.trim();
}

/** Errors: INVALID_ARGUMENT unless the answer is yes. */
export async function requireYes(operator: Operator, id: string, text: string): Promise<void> {
  const answer = (await operator.ask({ id, text })).trim().toLowerCase();
  if (answer !== 'yes' && answer !== 'y') throw stopped('somebody did not say yes');
}

function stopped(why: string): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', `The ceremony was stopped: ${why}.`);
}
