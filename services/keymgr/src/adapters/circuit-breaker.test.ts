import { databaseError } from '@gigvault/database/database-error';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { circuitBreaker, underBreaker } from './circuit-breaker.ts';

const PAUSE = 500;
const HOUR = 3_600_000;

/** A port that answers as it is told, and counts what reaches it. */
function flaky() {
  const clock = new FakeClock('2030-01-01T00:00:00Z');
  const inner = { asked: 0, answer: async (id: string) => id };
  const find = (id: string): Promise<string> => {
    inner.asked += 1;
    return inner.answer(id);
  };
  return { clock, inner, port: underBreaker({ find }, circuitBreaker(silentLog, clock)) };
}

const refused = (code: string) =>
  databaseError(Object.assign(new Error(`connect ${code}`), { code })) as Error;
const UNREACHABLE = { code: 'UNAVAILABLE' };

/** Opens it. */
async function opened() {
  const open = flaky();
  open.inner.answer = () => Promise.reject(refused('ECONNREFUSED'));
  for (let n = 0; n < 3; n++) await expect(open.port.find('a')).rejects.toMatchObject(UNREACHABLE);
  expect(open.inner.asked).toBe(3);
  return open;
}

describe('the circuit breaker (covers: P19)', () => {
  it('passes arguments, answers and errors on', async () => {
    const { inner, port } = flaky();
    expect(await port.find('a')).toBe('a');
    const error = refused('ECONNREFUSED');
    inner.answer = () => Promise.reject(error);
    await expect(port.find('a')).rejects.toBe(error);
  });

  it('keeps calls away after three failures in a row, however long each took, until one is answered', async () => {
    const { clock, inner, port } = await opened();
    await expect(port.find('a')).rejects.toMatchObject(UNREACHABLE);
    expect(inner.asked).toBe(3);
    clock.advance(PAUSE);
    await expect(port.find('a')).rejects.toMatchObject(UNREACHABLE);
    await expect(port.find('a')).rejects.toMatchObject(UNREACHABLE);
    expect(inner.asked).toBe(4);
    inner.answer = async (id) => id;
    clock.advance(PAUSE);
    for (let n = 0; n < 10; n++) expect(await port.find('b')).toBe('b');
    expect(inner.asked).toBe(14);
  });

  it('lets one call try, and the others do not wait for it', async () => {
    const { clock, inner, port } = await opened();
    const answer = Promise.withResolvers<string>();
    inner.answer = () => answer.promise;
    clock.advance(PAUSE);
    const trial = port.find('a');
    for (let n = 0; n < 10; n++) {
      await expect(port.find('a')).rejects.toMatchObject(UNREACHABLE);
      clock.advance(PAUSE);
    }
    expect(inner.asked).toBe(4);
    answer.resolve('a');
    expect(await trial).toBe('a');
    expect(await port.find('a')).toBe('a');
  });

  it('waits for its trial when a call fails that was asked before it opened', async () => {
    const { clock, inner, port } = flaky();
    const [early, trial] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    inner.answer = () => early.promise;
    const late = port.find('a');
    inner.answer = () => Promise.reject(refused('ECONNREFUSED'));
    for (let n = 0; n < 3; n++) await expect(port.find('a')).rejects.toMatchObject(UNREACHABLE);
    inner.answer = () => trial.promise;
    clock.advance(PAUSE);
    const tried = port.find('a');
    early.reject(refused('ECONNRESET'));
    await expect(late).rejects.toMatchObject(UNREACHABLE);
    clock.advance(PAUSE);
    await expect(port.find('a')).rejects.toMatchObject(UNREACHABLE);
    expect(inner.asked).toBe(5);
    trial.resolve('a');
    expect(await tried).toBe('a');
    expect(await port.find('a')).toBe('a');
  });

  it('opens for no pause longer when the clock is set back — covers: T15', async () => {
    const { clock, inner, port } = await opened();
    inner.answer = async (id) => id;
    clock.step(-HOUR);
    await expect(port.find('a')).rejects.toMatchObject(UNREACHABLE);
    clock.advance(PAUSE);
    expect(await port.find('a')).toBe('a');
  });

  it('stays closed while most calls are answered', async () => {
    const { inner, port } = flaky();
    let n = 0;
    inner.answer = (id) =>
      n++ % 5 < 2 ? Promise.reject(refused('ECONNRESET')) : Promise.resolve(id);
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => port.find('a')));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(60);
    expect(inner.asked).toBe(100);
  });

  it.each([
    new GigvaultError('CONFLICT', 'Somebody else changed the same thing.'),
    new GigvaultError('UNAVAILABLE', 'Too many requests are waiting (keymgr.use).'),
    // As databaseError says it of a full disk: what is read is still right.
    refused('53100'),
  ])('stays closed for what does not speak against the database: %s', async (refusal) => {
    const { inner, port } = flaky();
    inner.answer = () => Promise.reject(refusal);
    for (let n = 0; n < 20; n++) await expect(port.find('a')).rejects.toBe(refusal);
    expect(inner.asked).toBe(20);
  });
});
