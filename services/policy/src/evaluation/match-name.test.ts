import { describe, expect, it } from '@jest/globals';
import { matchName, matchText } from './match-name.ts';

const dns = (value: string) => ({ type: 'dns', value });

describe('matchName', () => {
  it.each([
    ['*', dns('a.b'), true],
    ['*', { type: 'ip', value: '10.0.0.1' }, true],
    ['localhost', dns('localhost'), true],
    ['localhost', dns('LOCALHOST'), true],
    ['localhost', dns('notlocalhost'), false],
    ['*.corp.example', dns('a.corp.example'), true],
    ['*.corp.example', dns('a.b.corp.example'), true],
    ['*.corp.example', dns('corp.example'), false],
    ['*.corp.example', dns('evilcorp.example'), false],
    ['*.corp.example', dns('a.corp.example.evil.test'), false],
    ['*.corp.example', dns('*.corp.example'), true],
    ['a.corp.example', dns('*.corp.example'), false],
    ['10.0.0.1', { type: 'ip', value: '10.0.0.1' }, false],
    ['ip:10.0.*', { type: 'ip', value: '10.0.0.1' }, true],
    ['email:*@corp.example', { type: 'email', value: 'a@corp.example' }, true],
    ['email:*@corp.example', dns('a@corp.example'), false],
    ['uri:https://corp.example/*', { type: 'uri', value: 'https://corp.example/x' }, true],
  ])('allow pattern %s and name %j: %s', (pattern, name, expected) => {
    expect(matchName(pattern, name, 'allow')).toBe(expected);
  });

  it('denies a wildcard that covers a denied name', () => {
    expect(matchName('secret.corp.example', dns('*.corp.example'), 'deny')).toBe(true);
    expect(matchName('a.secret.corp.example', dns('*.corp.example'), 'deny')).toBe(false);
    expect(matchName('*.corp.example', dns('*.corp.example'), 'deny')).toBe(true);
  });
});

describe('matchText', () => {
  it.each([
    ['a*b', 'ab', true],
    ['a*b', 'axxb', true],
    ['a*b', 'axxc', false],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['ab*ba', 'aba', false],
    ['*', '', true],
    ['**', 'x', true],
  ])('%s and %s: %s', (pattern, text, expected) => {
    expect(matchText(pattern, text)).toBe(expected);
  });

  it('stays fast on patterns that would hang a backtracking matcher (covers: T69)', () => {
    const started = process.hrtime.bigint();
    expect(matchText(`${'*a'.repeat(140)}*b`, 'a'.repeat(10_000))).toBe(false);
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(100);
  });
});
