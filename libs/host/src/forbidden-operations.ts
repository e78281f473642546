import type { EventLog } from '@gigvault/database/event-log';
import type { NewEvent } from '@gigvault/database/new-event';
import { type Refusal, refusalLog, refusalWriter } from '@gigvault/database/refusal-log';
import { transaction } from '@gigvault/database/transaction';
import type { TellForbidden, TellRefused } from '@gigvault/http/admit';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';

/** What telling needs. */
export interface ForbiddenOperationsOptions {
  readonly eventLog: EventLog;
  readonly database: Pool;
  readonly clock: Clock;
  readonly log: Log;
}

const SECOND = 1_000;

/** What a path or a message names: an opaque id. */
const NAME = /^[A-Za-z0-9-]{1,255}$/;

/**
 * People whose roles lack the permission for an operation, or whom it refuses itself, become events `operation.refused` of the service: the first of a kind before it is
 * answered, those of the next minute with their number, see RefusalLog.
 */
export function forbiddenOperations(options: ForbiddenOperationsOptions): {
  readonly tellForbidden: TellForbidden;
  readonly tellRefused: TellRefused;
  readonly worker: Worker;
} {
  const { eventLog, database, clock, log } = options;
  const name = `${eventLog.producer}.refused`;
  const append = (events: readonly NewEvent[]) =>
    transaction(database, (client) => eventLog.append(client, events));
  const refusals = refusalLog(refusalWriter({ name, append, eventOf: refusedEvent }), clock);
  const rounds = periodic({
    name,
    clock,
    interval: SECOND,
    round: () => refusals.flush(),
    onError: (error) => log.error({ error, operation: name }, 'refusals wait to be written'),
  });
  const tellRefused: TellRefused = async ({ actor }, { operation, fields, reason }) => {
    const subject = Object.values(fields).find(isName) ?? '*';
    log.warn({ operation, actor, outcome: reason }, 'operation refused');
    await refusals.refused({ caller: actor, subject, operation, reason });
  };
  return {
    tellRefused,
    tellForbidden: (principal, { permission, ...asked }) =>
      tellRefused(principal, { ...asked, reason: `their roles lack ${permission}` }),
    worker: {
      name,
      start: () => rounds.start(),
      async stop() {
        await rounds.stop();
        await refusals.flush(true);
      },
    },
  };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value);
}

/** See RefusalEvents. */
function refusedEvent({ caller, subject, operation, reason }: Refusal, count?: number): NewEvent {
  const repeated = count === undefined ? {} : { count };
  return {
    type: 'operation.refused',
    actor: caller,
    subject,
    data: { operation, reason, ...repeated },
  };
}
