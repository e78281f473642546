import { describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import { plan } from '../../test/ceremony-fixture.ts';
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

  it.each([
    ['ESC in a comment', '# agreed\n# é \u001b[8m20 years\u001b[0m', 'U+001B at line 2, column 5'],
    ['a lone CR', 'a: 1 # 20 years\r', 'U+000D at line 1, column 16'],
    ['CSI of eight bits', '\u009b2J', 'U+009B at line 1, column 1'],
    ['DEL', '\t\u007f', 'U+007F at line 1, column 2'],
    ['text that is turned around', 'a: \u202e02', 'U+202E at line 1, column 4'],
  ])('is refused with %s, which a terminal would not show as it is', (_what, text, where) => {
    expect(() => parsePlan(text)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(`The plan has the control character ${where}:`),
      }),
    );
  });

  it.each([
    ['root', 'commonName', 'Acme\u0007 Root'],
    ['issuing', 'organization', 'Acme\u001b[8m'],
    ['services', 'commonName', 'Acme\u202eACor'],
    ['root', 'organization', 'Acme\nRoot'],
  ] as const)('is refused with an escape for a control character in %s.%s', (ca, field, value) => {
    const subject = { ...plan[ca].subject, [field]: value };
    // JSON is YAML, and escapes what it must; the file itself has none of them.
    const text = JSON.stringify({ ...plan, [ca]: { ...plan[ca], subject } }).replace(
      /[\u202e]/g,
      '\\u202e',
    );
    expect(text).toMatch(/^[ -~]+$/);
    expect(() => parsePlan(text)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: `The plan is wrong: /${ca}/subject/${field} must not have control characters, nor escapes for them.`,
      }),
    );
  });

  it('is refused with an escape for a control character in its URL', () => {
    const text = JSON.stringify({ ...plan, statusUrl: 'http://status\u0007.example' });
    expect(() => parsePlan(text)).toThrow('/statusUrl must not have control characters');
  });

  it('may have tabs, lines that end in CR LF, and any script', () => {
    const text = `\ufeff# \u05e9\u200f, \u{1f511}\t\r\n${stringify(plan)}`.replaceAll(
      /\r?\n/g,
      '\r\n',
    );
    expect(parsePlan(text)).toEqual(plan);
  });
});
