import { describe, expect, it } from '@jest/globals';
import { DEFAULT_POLICIES } from './default-policies.ts';
import { parsePolicies } from './yaml-policies.ts';

const DAY = 86_400_000;

function refusal(text: string): string[] {
  try {
    parsePolicies(text, 'p.yaml');
  } catch (error) {
    return (error as { problems: { message: string }[] }).problems.map(({ message }) => message);
  }
  return [];
}

describe('parsePolicies', () => {
  it('reads one policy per document (covers: G45)', () => {
    const policies = parsePolicies(
      'name: a\noutcome: allow\nmaxValidity: 90d\n---\nname: b\noutcome: deny\n',
      'p.yaml',
    );
    expect(
      policies.map(({ document }) => [document.name, document.outcome, document.maxValidity]),
    ).toEqual([
      ['a', 'allow', 90 * DAY],
      ['b', 'deny', undefined],
    ]);
  });

  it('gives the same hash to the same policy however it is written', () => {
    const [a] = parsePolicies('name: a\noutcome: allow\nwildcards: deny\n', 'p.yaml');
    const [b] = parsePolicies('{ wildcards: deny, outcome: allow, name: a }', 'q.yaml');
    const [c] = parsePolicies('{ wildcards: review, outcome: allow, name: a }', 'q.yaml');
    expect(a?.hash).toBe(b?.hash);
    expect(a?.hash).not.toBe(c?.hash);
    // It stands in decisions and events: the same policy keeps it from version to version.
    expect(a?.hash).toBe('99c0fd25607b3f1d4292c629138203ad9e1b10cbb1d29a7a006f4a8a09f083a9');
  });

  it('names the line of an unknown key and the key that was meant', () => {
    const text = 'name: a\noutcome: allow\nnames:\n  alow: [x.example]\nwildcard: deny\n';
    expect(refusal(text)).toEqual([
      'p.yaml:4: unknown key "alow"; did you mean "allow"?',
      'p.yaml:5: unknown key "wildcard"; did you mean "wildcards"?',
    ]);
  });

  it.each([
    ['name: a\noutcome: maybe\n', 'p.yaml:2: outcome'],
    ['name: a\noutcome: allow\nmaxValidity: 90\n', 'p.yaml:3: maxValidity'],
    ['name: a\noutcome: allow\nmaxValidity: 0d\n', 'p.yaml:3: maxValidity'],
    ['name: a\noutcome: allow\nnames: { allow: ["a.*.example"] }\n', 'p.yaml:3: names.allow.0'],
    ['name: a\nname: b\noutcome: allow\n', 'p.yaml:2: Map keys must be unique'],
    ['name: a\noutcome: allow\nwildcards: [\n', 'p.yaml:'],
    ['name: a\n', 'p.yaml:1: outcome'],
    ['just text', 'p.yaml:1: policy'],
  ])('refuses %j', (text, message) => {
    expect(refusal(text)[0]?.startsWith(message) || refusal(text)[0]).toBe(true);
  });

  it('refuses aliases, so that no bomb can grow (covers: T70)', () => {
    const bomb = ['name: a', 'outcome: allow', 'x0: &x0 [lol]'];
    for (let i = 1; i < 30; i++) bomb.push(`x${i}: &x${i} [*x${i - 1}, *x${i - 1}]`);
    expect(refusal(bomb.join('\n'))).toEqual(['p.yaml:4: YAML aliases are not allowed']);
  });

  it('refuses endless nesting and huge texts without falling over (covers: T70)', () => {
    expect(refusal('['.repeat(100_000))).not.toEqual([]);
    expect(refusal(`name: ${'a'.repeat(300_000)}`)).toEqual(['p.yaml: larger than 256 KiB']);
  });

  it('ignores __proto__ tricks', () => {
    expect(refusal('name: a\noutcome: allow\n__proto__: { approvals: 0 }\n')).not.toEqual([]);
  });

  it('accepts the built-in policies', () => {
    const names = parsePolicies(DEFAULT_POLICIES, 'default.yaml').map(
      ({ document }) => document.name,
    );
    expect(names).toEqual(['acme', 'operators', 'requesters']);
  });
});
