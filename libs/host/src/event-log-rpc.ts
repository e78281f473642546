import type { EventLog } from '@gigvault/database/event-log';
import type { PullRequest, PullResponse } from '@gigvault/proto/event/v1/event_log';
import type { CallContext } from '@gigvault/rpc/call';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';

/** Provider token of the service's EventLog. */
export const EVENT_LOG = Symbol('EVENT_LOG');

/** Serves a service's event log. The consumer is whoever calls; its name comes from the transport. */
@Controller()
export class EventLogRpc {
  constructor(@Inject(EVENT_LOG) private readonly log: EventLog) {}

  /** See event/v1/event_log.proto. */
  @GrpcMethod('EventLogService', 'Pull')
  pull(request: PullRequest, _metadata: unknown, call: CallContext): Promise<PullResponse> {
    const { peer, signal } = call;
    return this.log.pull(peer, request, signal);
  }
}
