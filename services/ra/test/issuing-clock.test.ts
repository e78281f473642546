import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { type IssuingWorkerOptions, issuingWorker } from '../src/adapters/issuing-worker.ts';
import { pgRequestStore } from '../src/adapters/pg-request-store.ts';
import { decideRequest } from '../src/approval/decide-request.ts';
import { readRequest } from '../src/enrolment/read-requests.ts';
import { submitRequest } from '../src/enrolment/submit-request.ts';
import { useEnrolmentWorld } from './enrolment-world.ts';
import { codeOf, eventually, judgement, submission, unavailable } from './fixtures.ts';

const HOUR = 3_600_000;

const world = useEnrolmentWorld();

describe('a clock that is an hour ahead for a while (covers: T15)', () => {
  /** Until the process has died where the certificate would be kept. */
  const died = () =>
    new Promise<void>((reached) =>
      installFaultHook((step, moment) => {
        if (step !== 'ra.issued' || moment !== 'before') return;
        reached();
        return new Promise(() => undefined);
      }),
    );
  const failing = async (request = submission()) => {
    world.api.ca.failWith = unavailable();
    await codeOf(submitRequest(world.api, request));
    world.api.ca.failWith = undefined;
    return request.requestId;
  };

  it.each([
    [
      'was submitted then, to a process that died',
      async () => {
        const request = submission();
        const dead = died();
        return async () => {
          void submitRequest(world.api, request);
          await dead;
          return request.requestId;
        };
      },
    ],
    [
      'was approved then, by a process that died',
      async () => {
        world.api.policy.judgement = judgement('review');
        const { requestId } = await submitRequest(world.api, submission());
        const dead = died();
        return async () => {
          void decideRequest(world.api, { requestId, actor: 'user:2', approve: true, comment: '' });
          await dead;
          return requestId;
        };
      },
    ],
    ['could not be issued then', async () => failing],
    [
      'was taken up then by a worker, whose process died',
      async (clock: FakeClock) => {
        const requestId = await failing();
        clock.advance(1_000);
        const dead = died();
        return async () => {
          await issuingWorker(workerOptions()).start();
          await dead;
          return requestId;
        };
      },
    ],
  ])('puts nothing off that %s', async (_what, before) => {
    const clock = new FakeClock(systemClock.now());
    world.restart(clock);
    const then = await before(clock);
    clock.step(HOUR);
    const requestId = await then();
    clock.step(-HOUR);
    clock.advance(16_000);
    installFaultHook(undefined);
    world.restart(clock);
    const worker = issuingWorker(workerOptions());
    await worker.start();
    await eventually(
      async () => (await readRequest(world.api.requests, requestId)).status === 'issued',
      systemClock,
    );
    await worker.stop();
  });

  it('puts nothing off for a process that comes up when it is right again', async () => {
    const clock = new FakeClock(systemClock.now() + HOUR);
    world.restart(clock);
    const requestId = await failing();
    clock.step(-HOUR);
    world.restart(clock);
    const worker = issuingWorker(workerOptions());
    await worker.start();
    await eventually(
      async () => (await readRequest(world.api.requests, requestId)).status === 'issued',
      systemClock,
    );
    await worker.stop();
  });

  it.each([
    ['later', 0, HOUR],
    ['before, and back', -24 * HOUR, 24 * HOUR],
    ['before, and stays', -24 * HOUR, 0],
  ])(
    'makes no failure final that nobody can explain, when it is set %s',
    async (_when, before, after) => {
      const clock = new FakeClock(systemClock.now());
      world.restart(clock);
      world.api.ca.failWith = new GigvaultError('FORBIDDEN', 'Something went wrong on our side.');
      const request = submission();
      clock.step(before);
      expect(await codeOf(submitRequest(world.api, request))).toBe('FORBIDDEN');
      clock.step(after);
      expect(await codeOf(submitRequest(world.api, request))).toBe('FORBIDDEN');
    },
  );
});

function workerOptions(): IssuingWorkerOptions {
  const { clock, clockGuard, issuer, eventLog } = world.api;
  const issuing = pgRequestStore(world.pool, eventLog);
  return { issuing, issuer, clock, clockGuard, log: silentLog };
}
