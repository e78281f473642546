import type { Event, EventLogService } from '@gigvault/proto/event/v1/event_log';
import type { Client } from '@gigvault/rpc/call';
import type { Clock } from '@gigvault/time/clock';

/** The event log of a `ca` in memory. */
export interface FakeEventLog {
  readonly source: Client<EventLogService>;
  append(type: string, subject: string, data: object): void;
  /** Ends every open long poll, as its time would. */
  endPolls(): void;
  /** While true, every pull fails. */
  down: boolean;
}

/** Starts empty. Pulls that find nothing wait for an event, for endPolls, or for their signal. */
export function fakeEventLog(clock: Clock): FakeEventLog {
  const events: Event[] = [];
  let wakers: (() => void)[] = [];
  const wake = () => {
    const waking = wakers;
    wakers = [];
    for (const waker of waking) waker();
  };
  const log: FakeEventLog = {
    down: false,
    source: {
      async pull(request, options) {
        if (log.down) throw new Error('ca is down');
        const stopped = options?.signal?.aborted === true;
        if (events.length <= request.acknowledged && request.waitMs > 0 && !stopped) {
          await new Promise<void>((resolve) => {
            wakers.push(resolve);
            options?.signal?.addEventListener('abort', () => resolve());
          });
          if (log.down) throw new Error('ca is down');
        }
        const found = events.slice(request.acknowledged, request.acknowledged + request.limit);
        return { events: found, head: events.length };
      },
    },
    append(type, subject, data) {
      events.push({
        position: events.length + 1,
        producer: 'ca',
        type,
        occurredAt: clock.now(),
        actor: 'service:ca',
        subject,
        data: Buffer.from(JSON.stringify(data)),
        traceId: '',
      });
      wake();
    },
    endPolls: wake,
  };
  return log;
}
