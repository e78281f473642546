import type { HttpReply } from '@gigvault/http/route';
import type { Clock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import type { HealthCheck } from './service.ts';

/** What a probe wants to know: whether requests are served, or whether all is well. */
export type HealthQuestion = 'ready' | 'health';

/** The state of one check. */
export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly latencyMs: number;
  /** Why not, for operators. */
  readonly message?: string;
  /** See HealthCheck. */
  readonly failing?: 501 | 503;
}

/** The health of a process: its checks, and whether it takes requests (docs/operations/health.md). */
export interface Health {
  /** Runs every check that `question` asks but the excluded ones, at the same time, each bounded by a second. */
  check(question: HealthQuestion, exclude: readonly string[]): Promise<readonly CheckResult[]>;
  readonly state: 'starting' | 'ready' | 'draining';
  readonly ready: boolean;
  /** True once the listeners answer and the workers run; false from the first moment of a stop. */
  setReady(ready: boolean): void;
}

/** Milliseconds that one check may take. */
const CHECK_LIMIT = 1_000;

/** Health over these checks; not ready until told. */
export function createHealth(checks: () => readonly HealthCheck[], clock: Clock): Health {
  let state: Health['state'] = 'starting';
  return {
    get state() {
      return state;
    },
    get ready() {
      return state === 'ready';
    },
    setReady(ready) {
      state = ready ? 'ready' : 'draining';
    },
    check: (question, exclude) =>
      Promise.all(
        checks()
          .filter((c) => question === 'health' || c.blocksReadiness !== false)
          .filter((c) => !exclude.includes(c.name))
          .map((check) => runCheck(check, clock)),
      ),
  };
}

async function runCheck(check: HealthCheck, clock: Clock): Promise<CheckResult> {
  const start = clock.now();
  const latencyMs = () => clock.now() - start;
  try {
    await within(clock, CHECK_LIMIT, check.check(), `no answer within ${CHECK_LIMIT} ms`);
    return { name: check.name, ok: true, latencyMs: latencyMs() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const { name, failing = 503 } = check;
    return { name, ok: false, latencyMs: latencyMs(), message, failing };
  }
}

/**
 * The health tree as an HTTP answer: 200 when all is well, 503 otherwise; each check on its line with `?verbose`.
 * `health` says 501 when nothing is wrong but that something has not been set up yet.
 */
export async function healthReply(
  health: Health,
  query: Readonly<Record<string, unknown>>,
  question: HealthQuestion,
): Promise<HttpReply> {
  const exclude = [query['exclude'] ?? []].flat().flatMap((names) => String(names).split(','));
  const results = await health.check(question, exclude);
  const failing = results.filter((r) => !r.ok);
  const ok = health.ready && failing.length === 0;
  const notSetUp = health.ready && failing.length > 0 && failing.every((r) => r.failing === 501);
  return {
    status: ok ? 200 : question === 'health' && notSetUp ? 501 : 503,
    headers: { 'cache-control': 'no-store' },
    body: {
      status: ok ? 'ok' : health.ready ? 'failing' : health.state,
      ...(query['verbose'] === undefined ? {} : { checks: results.map(line) }),
    },
  };
}

function line({ name, ok, latencyMs, message }: CheckResult): object {
  return { name, ok, latencyMs, ...(message === undefined ? {} : { message }) };
}
