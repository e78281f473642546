import { describe, expect, it } from '@jest/globals';
import { FakeClock } from './clock.ts';
import { sharedLook } from './shared-look.ts';

const SECOND = 1_000;

function setUp() {
  const clock = new FakeClock(0);
  const looks: PromiseWithResolvers<string>[] = [];
  const ask = sharedLook(
    () => {
      const look = Promise.withResolvers<string>();
      looks.push(look);
      return look.promise;
    },
    SECOND,
    clock,
  );
  return { clock, looks, ask };
}

describe('a shared look', () => {
  it('is one for all who ask while it lasts, and for a second after', async () => {
    const { clock, looks, ask } = setUp();
    const asked = [ask(), ask()];
    clock.advance(5 * SECOND);
    asked.push(ask());
    looks[0]!.resolve('well');
    expect(await Promise.all(asked)).toEqual(['well', 'well', 'well']);
    clock.advance(SECOND - 1);
    expect(await ask()).toBe('well');
    expect(looks).toHaveLength(1);
    clock.advance(1);
    const next = ask();
    looks[1]!.resolve('better');
    expect(await next).toBe('better');
  });

  it('is remembered when it failed, too', async () => {
    const { clock, looks, ask } = setUp();
    const first = ask();
    looks[0]!.reject(new Error('away'));
    await expect(first).rejects.toThrow('away');
    await expect(ask()).rejects.toThrow('away');
    expect(looks).toHaveLength(1);
    clock.advance(SECOND);
    const next = ask();
    looks[1]!.resolve('back');
    expect(await next).toBe('back');
  });
});
