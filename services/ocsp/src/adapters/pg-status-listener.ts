import { heldConnection } from '@gigvault/database/held-connection';
import { failureLog, type Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';
import type { CertificateKey } from '../ports/certificate-state.ts';
import { STATUS_CHANNEL } from './pg-status-store.ts';

/** What the listener needs. */
export interface StatusListenerOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  /** Another replica, or this one, committed changes of these certificates. */
  changed(keys: readonly CertificateKey[]): void;
  /** Changes may have been missed: told while nobody listens, too. */
  reset(): void;
}

/** Hears what other replicas commit, so that no replica serves a cached answer of before. Holds one connection. */
export function pgStatusListener(options: StatusListenerOptions): Worker {
  const { pool, clock, log, changed, reset } = options;
  const failures = failureLog(
    log,
    'not hearing the other OCSP replicas',
    'hearing the other OCSP replicas again',
  );
  return heldConnection({
    name: 'ocsp.status-listener',
    pool,
    clock,
    establish(client) {
      client.on('notification', ({ payload }) => {
        const keys = decode(payload);
        // Every role of the database may notify: what cannot be read may have told of anything.
        if (keys) changed(keys);
        else reset();
      });
      return client.query(`LISTEN ${STATUS_CHANNEL}`);
    },
    held() {
      reset();
      failures.worked();
    },
    // At each attempt: what was cached since the last one may be outdated as well.
    lost(error) {
      reset();
      failures.failed('warn', error);
    },
  });
}

/** Undefined for what is not a list of pairs of texts. */
function decode(payload: string | undefined): CertificateKey[] | undefined {
  const pairs = parse(payload ?? '');
  if (!Array.isArray(pairs) || !pairs.every(isPair)) return undefined;
  return pairs.map(([issuerId, serialNumber]) => ({ issuerId, serialNumber }));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((v) => typeof v === 'string');
}
