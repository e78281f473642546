import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { mergeOpenApi, rememberOpenApi } from './merge-openapi.ts';

const CA = { openapi: '3.1.0', paths: { '/certificates': { get: {} }, '/users': { delete: {} } } };
const AUTH = { openapi: '3.1.0', paths: { '/users': { get: {} } } };

it('merges the methods of one path', () => {
  expect(mergeOpenApi([CA, AUTH])).toEqual({
    openapi: '3.1.0',
    paths: { '/certificates': { get: {} }, '/users': { delete: {}, get: {} } },
  });
});

describe('the remembered document', () => {
  function setUp() {
    const clock = new FakeClock(0);
    const state = { asked: 0, down: false };
    const document = rememberOpenApi(async () => {
      state.asked += 1;
      await new Promise(setImmediate);
      if (state.down) throw new Error(`down ${state.asked}`);
      return [CA, AUTH];
    }, clock);
    return { clock, state, document };
  }

  it('is asked for once by all who wait, and anew after a minute', async () => {
    const { clock, state, document } = setUp();
    const all = await Promise.all(Array.from({ length: 100 }, () => document()));
    const body = all[0]?.['/openapi.json'].body;
    expect(JSON.parse(String(body))).toEqual(mergeOpenApi([CA, AUTH]));
    expect(all.every((replies) => replies['/openapi.json'].body === body)).toBe(true);
    clock.advance(59_999);
    await document();
    expect(state.asked).toBe(1);
    clock.advance(1);
    await document();
    expect(state.asked).toBe(2);
  });

  it('outlives an outage, and a first one is not asked about more than once a second', async () => {
    const { clock, state, document } = setUp();
    state.down = true;
    for (let i = 0; i < 3; i += 1) await expect(document()).rejects.toThrow('down 1');
    clock.advance(1_000);
    await expect(document()).rejects.toThrow('down 2');
    state.down = false;
    clock.advance(1_000);
    const first = await document();
    state.down = true;
    clock.advance(60_000);
    expect(await document()).toBe(first);
    expect(await document()).toBe(first);
    expect(state.asked).toBe(4);
  });
});
