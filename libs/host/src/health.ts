import type { HttpReply } from '@gigvault/http/route';
import type { Clock } from '@gigvault/time/clock';
import type { HealthCheck } from './service.ts';

/** The state of one check. */
export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly latencyMs: number;
  /** Why not, for operators. */
  readonly message?: string;
}

/** The health of a process: its checks, and whether it is draining. */
export interface Health {
  /** Runs every check but the excluded ones, at the same time, each bounded by a second. */
  check(exclude: readonly string[]): Promise<readonly CheckResult[]>;
  readonly ready: boolean;
  /** True once the listeners answer and the workers run; false from the first moment of a stop. */
  setReady(ready: boolean): void;
}

/** Milliseconds that one check may take. */
const CHECK_LIMIT = 1_000;

/** Health over these checks; not ready until told. */
export function createHealth(checks: () => readonly HealthCheck[], clock: Clock): Health {
  let ready = false;
  return {
    get ready() {
      return ready;
    },
    setReady(value) {
      ready = value;
    },
    check: (exclude) =>
      Promise.all(
        checks()
          .filter((c) => !exclude.includes(c.name))
          .map((check) => runCheck(check, clock)),
      ),
  };
}

async function runCheck(check: HealthCheck, clock: Clock): Promise<CheckResult> {
  const start = clock.now();
  const limit = new AbortController();
  try {
    await Promise.race([
      check.check(),
      clock.sleep(CHECK_LIMIT, limit.signal).then(() => {
        throw new Error(`no answer within ${CHECK_LIMIT} ms`);
      }),
    ]);
    return { name: check.name, ok: true, latencyMs: clock.now() - start };
  } catch (error) {
    return {
      name: check.name,
      ok: false,
      latencyMs: clock.now() - start,
      message: error instanceof Error ? error.message : String(error),
    };
  } finally {
    limit.abort();
  }
}

/** The health tree as an HTTP answer: 200 when all is well, 503 otherwise; each check on its line with `?verbose`. */
export async function healthReply(
  health: Health,
  query: Readonly<Record<string, unknown>>,
): Promise<HttpReply> {
  const exclude = [query['exclude'] ?? []].flat().map(String);
  const results = await health.check(exclude);
  const ok = health.ready && results.every((r) => r.ok);
  return {
    status: ok ? 200 : 503,
    headers: { 'cache-control': 'no-store' },
    body: {
      status: ok ? 'ok' : health.ready ? 'failing' : 'draining',
      ...(query['verbose'] === undefined ? {} : { checks: results }),
    },
  };
}
