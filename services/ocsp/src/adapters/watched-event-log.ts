import type { EventLogService } from '@gigvault/proto/event/v1/event_log';
import type { Client } from '@gigvault/rpc/call';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import type { Freshness } from '../revocation/freshness.ts';

/**
 * The same event log, with an eye on how far the reader is: when an answer holds nothing new, or when the next pull acknowledges
 * the head of the answer before, everything up to the time of that answer is known. While the clock is not right nobody can say which time
 * that is: freshness never goes back.
 */
export function watchedEventLog(
  source: Client<EventLogService>,
  freshness: Freshness,
  clock: ClockGuard,
): Client<EventLogService> {
  let last: { head: number; at: number } | undefined;
  return {
    async pull(request, options) {
      if (last && request.acknowledged >= last.head) freshness.advance(last.at);
      const response = await source.pull(request, options);
      last = clock.isRight() ? { head: response.head, at: clock.now() } : undefined;
      if (last && request.acknowledged >= response.head) freshness.advance(last.at);
      return response;
    },
  };
}
