import { CliFailure, type Try, usage } from '../failure.ts';
import { parseSpan } from '../output/times.ts';
import { type CommandOptions, textOption } from '../program/command-spec.ts';
import { factOf } from '../server/problem.ts';
import type { Session } from '../session.ts';
import type { EnrolmentDocument } from './resources.ts';

/** What a request for a certificate says beside the request itself. */
export interface EnrolmentOptions {
  readonly profile: string;
  readonly validity?: string;
  readonly reason?: string;
}

/** Exit code of a request that waits for people. */
export const PENDING = 8;

const DEFAULT_WAIT = 600_000;
const POLL = 2_000;

/** The flags `--profile`, `--ttl` and `--reason`. */
export function enrolmentOptions(options: CommandOptions): EnrolmentOptions {
  const validity = validityOf(textOption(options, 'ttl'));
  const reason = textOption(options, 'reason');
  return {
    profile: textOption(options, 'profile') ?? 'tls-server',
    ...(validity === undefined ? {} : { validity }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** In the unit that the API takes: days, hours, minutes or seconds. */
function validityOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const ms = parseSpan(text);
  if (!ms) throw usage(`"${text}" is not a validity: write 47d or 12h.`);
  const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 };
  const [unit = 's', size = 1000] = Object.entries(units).find(([, each]) => ms % each === 0) ?? [];
  return `${ms / size}${unit}`;
}

/**
 * Sends a certification request (PEM). The answer is issued or pending; everything else is thrown.
 * @param look how to find what may have been made when no answer came.
 */
export async function submit(
  session: Session,
  path: '/certificates' | '/csrs',
  certificationRequest: string,
  options: CommandOptions,
  look: Try,
): Promise<EnrolmentDocument> {
  waitOf(options);
  const api = await session.api();
  const body = { certificationRequest, ...enrolmentOptions(options) };
  try {
    return settled(await api.post<EnrolmentDocument>(path, body));
  } catch (error) {
    if (error instanceof CliFailure && error.maybeDone)
      throw error.withTries([look, ...error.tries]);
    throw error;
  }
}

/** With `--wait`, waits until people have decided about a request; without, it is as it is. */
export async function decided(
  session: Session,
  answer: EnrolmentDocument,
  options: CommandOptions,
): Promise<EnrolmentDocument> {
  const patience = waitOf(options);
  return answer.status === 'issued' || patience === 0 ? answer : waitFor(session, answer, patience);
}

/** Throws for a request that will never be a certificate. */
export function settled(request: EnrolmentDocument): EnrolmentDocument {
  const { status, requestId } = request;
  if (status === 'denied') {
    const facts = request.decision.rules
      .filter((rule) => rule.outcome === 'deny')
      .map((rule) => factOf(rule.message));
    throw new CliFailure(`policy "${request.decision.policy}" refused this certificate`, {
      code: 'POLICY_DENIED',
      facts,
    });
  }
  const tries = [{ command: `gigvault csr get ${requestId}` }];
  if (status === 'rejected') {
    const facts = request.votes
      .filter((vote) => !vote.approve)
      .map((vote) => ({ subject: vote.actor, text: vote.comment || 'no comment' }));
    throw new CliFailure('the request was rejected', {
      code: 'FORBIDDEN',
      exitCode: 7,
      facts,
      tries,
    });
  }
  if (status === 'failed')
    throw new CliFailure(request.error?.message ?? 'the certificate could not be issued', {
      code: 'INTERNAL',
      tries,
    });
  return request;
}

/** One line for people, on stderr, about a request that waits. */
export function tellPending(
  session: Session,
  { requestId, approvalsNeeded, votes }: EnrolmentDocument,
): void {
  const { output } = session;
  const got = votes.filter((vote) => vote.approve).length;
  output.notice(
    `${output.noticeStyle.yellow(output.noticeStyle.warn)} waiting for approval (${got} of ${approvalsNeeded})`,
  );
  output.notice(`  somebody else:  gigvault csr approve ${requestId}`);
}

async function waitFor(
  session: Session,
  request: EnrolmentDocument,
  patience: number,
): Promise<EnrolmentDocument> {
  const { clock, signal } = session.terminal;
  const api = await session.api();
  const until = clock.now() + patience;
  tellPending(session, request);
  let seen = request;
  while (seen.status !== 'issued' && clock.now() < until) {
    await clock.sleep(POLL, signal);
    seen = settled(
      await api.get<EnrolmentDocument>(`/csrs/${encodeURIComponent(request.requestId)}`),
    );
  }
  return seen;
}

function waitOf({ wait }: CommandOptions): number {
  if (wait === undefined) return 0;
  const patience = typeof wait === 'string' ? parseSpan(wait) : DEFAULT_WAIT;
  if (patience === undefined) throw usage(`"${String(wait)}" is not a time: write 10m.`);
  return patience;
}
