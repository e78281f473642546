import { describe, expect, it } from '@jest/globals';
import { parsePlan } from './plan.ts';

describe('a plan', () => {
  const bomb = ['root: &x0 [x]'];
  for (let i = 1; i < 30; i++) bomb.push(`x${i}: &x${i} [*x${i - 1}, *x${i - 1}]`);
  it.each([
    ['a bomb of aliases', bomb.join('\n'), /^The plan is not YAML: [^\n]+$/],
    ['endless nesting', '['.repeat(1_000_000), /^The plan is not YAML: [^\n]+$/],
    ['a key twice', 'root: 1\nroot: 2', /^The plan is not YAML: [^\n]+$/],
    ['a prototype', '__proto__: { root: 1 }', /^The plan is wrong: /],
  ])('is refused as %s (covers: T70)', (_what, text, message) => {
    expect(() => parsePlan(text)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(message),
      }),
    );
  });
});
