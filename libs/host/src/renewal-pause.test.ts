import { renewalTime } from '@gigvault/rpc/mtls-identity';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { FakeClock } from '@gigvault/time/clock';
import { expect, it } from '@jest/globals';
import { LOOK_INTERVAL, renewalPause } from './renewal-pause.ts';

const { certificate } = createTestIdentities().identity('ra').current();
const due = renewalTime(certificate);

it.each([
  ['long before it is due: the usual look', due - 10 * LOOK_INTERVAL, LOOK_INTERVAL],
  ['soon due: then', due - 20_000, 20_000],
  [
    'due: not at once, or a certificate that is due when it is issued would be renewed without end',
    due,
    5_000,
  ],
  ['long due: the same', due + LOOK_INTERVAL, 5_000],
])('%s', (_what, now, pause) => {
  expect(renewalPause(new FakeClock(now), certificate)).toBe(pause);
});
