import { databaseError } from '@gigvault/database/database-error';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Breaker, circuitBreaker, underBreaker } from './circuit-breaker.ts';

let breaker: Breaker;
afterEach(() => breaker.close());

/** A port that fails as it is told, and counts what reaches it. */
function flaky() {
  breaker = circuitBreaker(silentLog);
  const inner = { fails: undefined as Error | undefined, asked: 0 };
  const port = {
    async find(id: string): Promise<string> {
      inner.asked += 1;
      if (inner.fails) throw inner.fails;
      return id;
    },
  };
  return { inner, port: underBreaker(port, breaker) };
}

const gone = () => new GigvaultError('UNAVAILABLE', 'The database cannot be reached.');

describe('the circuit breaker', () => {
  it('passes arguments, answers and errors on', async () => {
    const { inner, port } = flaky();
    expect(await port.find('a')).toBe('a');
    inner.fails = gone();
    await expect(port.find('a')).rejects.toBe(inner.fails);
  });

  it('keeps calls away from a database that cannot be reached, and tries again', async () => {
    const { inner, port } = flaky();
    inner.fails = gone();
    for (let n = 0; n < 10; n++)
      await expect(port.find('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(inner.asked).toBeLessThan(10);
    await expect(port.find('a')).rejects.toMatchObject({ retryAfter: 1 });
    inner.fails = undefined;
    await eventually(async () => expect(await port.find('b')).toBe('b'));
    const before = inner.asked;
    for (let n = 0; n < 10; n++) await port.find('b');
    expect(inner.asked).toBe(before + 10);
  });

  it.each([
    new GigvaultError('CONFLICT', 'Somebody else changed the same thing.'),
    // As databaseError says it of a full disk: what is read is still right.
    databaseError(Object.assign(new Error('no space left on device'), { code: '53100' })) as Error,
  ])('stays closed for what a database that answers says: %s', async (refusal) => {
    const { inner, port } = flaky();
    inner.fails = refusal;
    for (let n = 0; n < 20; n++) await expect(port.find('a')).rejects.toBe(refusal);
    expect(inner.asked).toBe(20);
  });
});
