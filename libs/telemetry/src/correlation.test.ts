import { describe, expect, it } from '@jest/globals';
import {
  currentTraceId,
  currentTraceparent,
  parseTraceparent,
  traceIdOf,
  withCorrelation,
} from './correlation.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('a traceparent', () => {
  it('is read', () => {
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual({
      traceId: TRACE,
      spanId: SPAN,
      traceFlags: 1,
      isRemote: true,
    });
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-02`)?.traceFlags).toBe(0);
  });

  it('of a later version may hold more (W3C Trace Context §4.3)', () => {
    expect(parseTraceparent(`01-${TRACE}-${SPAN}-01-more`)?.traceId).toBe(TRACE);
  });

  it.each([
    undefined,
    '',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-more`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-01\r\nx: y`,
  ])('that is none gives a new trace: %s', (header) => {
    expect(parseTraceparent(header)).toBeUndefined();
    expect(traceIdOf(header)).toMatch(/^(?!0{32}|4bf9)[0-9a-f]{32}$/);
  });
});

describe('a correlation', () => {
  it('is seen by everything that it awaits, and by nothing else', async () => {
    const seen = await Promise.all(
      [TRACE, SPAN + SPAN].map((traceId) =>
        withCorrelation({ traceId, requestId: 'r' }, async () => {
          await new Promise(setImmediate);
          return currentTraceId();
        }),
      ),
    );
    expect(seen).toEqual([TRACE, SPAN + SPAN]);
    expect([currentTraceId(), currentTraceparent()]).toEqual(['', undefined]);
  });

  it('goes on in an outgoing call, with a new span id', () => {
    const [first, second] = [1, 2].map(() =>
      withCorrelation({ traceId: TRACE, requestId: 'r' }, currentTraceparent),
    );
    expect(first).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    expect(second).not.toBe(first);
  });
});
