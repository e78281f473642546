import type { NonceService } from '@gigvault/proto/enroll/v1/nonce';
import type { Client } from '@gigvault/rpc/call';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';

/** Nonces of `enroll` for the answers that the edge gives in its place, so that who is turned away need not ask for one. */
export interface NonceStock {
  /** One that nobody has; undefined when there is none now. */
  take(): string | undefined;
}

const BATCH = 256;
/** Milliseconds after which they are thrown away: another enroll would not know them. */
const LIFETIME = 2_000;
/** Milliseconds between two calls when enroll does not answer. */
const PAUSE = 1_000;

/** Asks for nonces when they are taken, never ahead of that. */
export function createNonceStock(
  enroll: Client<NonceService>,
  clock: Pick<Clock, 'elapsed'>,
  log: Pick<Log, 'warn'>,
): NonceStock {
  let nonces: string[] = [];
  let expires = 0;
  let notBefore = 0;
  let filling = false;

  async function fill(): Promise<void> {
    filling = true;
    try {
      ({ nonces } = await enroll.issueNonces({ count: BATCH }));
      expires = clock.elapsed() + LIFETIME;
    } catch (error) {
      notBefore = clock.elapsed() + PAUSE;
      log.warn({ error, operation: 'issueNonces' }, 'enroll gives no nonces');
    } finally {
      filling = false;
    }
  }

  return {
    take() {
      const now = clock.elapsed();
      if (now >= expires) nonces = [];
      if (nonces.length < BATCH / 2 && !filling && now >= notBefore) void fill();
      return nonces.pop();
    },
  };
}
