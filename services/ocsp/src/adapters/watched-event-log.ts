import type { EventLogService } from '@gigvault/proto/event/v1/event_log';
import type { Client } from '@gigvault/rpc/call';
import type { Clock } from '@gigvault/time/clock';
import type { Freshness } from '../revocation/freshness.ts';

/**
 * The same event log, with an eye on how far the reader is: when an answer holds nothing new, or when the next pull acknowledges
 * the head of the answer before, everything up to the time of that answer is known.
 */
export function watchedEventLog(
  source: Client<EventLogService>,
  freshness: Freshness,
  clock: Clock,
): Client<EventLogService> {
  let last: { head: number; at: number } | undefined;
  return {
    async pull(request, options) {
      if (last && request.acknowledged >= last.head) freshness.advance(last.at);
      const response = await source.pull(request, options);
      last = { head: response.head, at: clock.now() };
      if (request.acknowledged >= response.head) freshness.advance(last.at);
      return response;
    },
  };
}
