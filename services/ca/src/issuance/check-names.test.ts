import { describe, expect, it } from '@jest/globals';
import { checkCommonName, checkNames } from './check-names.ts';
import { profileTable } from './profile-table.ts';

const profiles = profileTable({});
const server = profiles.get('tls-server')!;
const client = profiles.get('tls-client')!;
const dns = (...values: string[]) => values.map((value) => ({ type: 'dns', value }));
const rejected = expect.objectContaining({ code: 'REJECTED_IDENTIFIER' });

describe('checkNames', () => {
  it('normalises, drops repeats, keeps the order', () => {
    const names = checkNames(dns('B.example.com', 'a.example.com', 'b.EXAMPLE.com'), server, false);
    expect(names.map((name) => name.value)).toEqual(['b.example.com', 'a.example.com']);
  });

  it('names the bad one', () => {
    const check = () => checkNames(dns('a.example.com', 'a\0.example.com'), server, false);
    expect(check).toThrow(
      expect.objectContaining({
        problems: [expect.objectContaining({ pointer: '/subjectAltName/1' })],
      }),
    );
  });

  it('takes localhost in the development profile only', () => {
    expect(checkNames(dns('a.localhost'), server, true)).toHaveLength(1);
    expect(() => checkNames(dns('a.localhost'), server, false)).toThrow(rejected);
  });

  it('takes only the kinds of the profile', () => {
    expect(() => checkNames([{ type: 'email', value: 'a@example.com' }], server, false)).toThrow(
      rejected,
    );
    expect(() => checkNames([{ type: 'x400', value: 'a' }], server, false)).toThrow(rejected);
    expect(() => checkNames(dns('*.example.com'), client, false)).toThrow(rejected);
  });

  it('takes no spiffe URI in any public profile, however it is written (covers: T61)', () => {
    for (const profile of profiles.values()) {
      if (!profile.public) continue;
      for (const value of ['spiffe://gigvault.local/service/ca', 'SPIFFE://x/y', 'Spiffe:x']) {
        expect(() => checkNames([{ type: 'uri', value }], profile, true)).toThrow(rejected);
      }
    }
    expect(checkNames([{ type: 'uri', value: 'https://a.example/b' }], client, false)).toHaveLength(
      1,
    );
  });

  it('takes 100 names and not one more (covers: T22)', () => {
    const many = (n: number) => dns(...Array.from({ length: n }, (_, i) => `n${i}.example.com`));
    expect(checkNames(many(100), server, false)).toHaveLength(100);
    expect(() => checkNames(many(101), server, false)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});

describe('checkCommonName', () => {
  const names = checkNames(dns('a.example.com'), server, false);

  it('is one of the names, in their form (covers: T26)', () => {
    expect(checkCommonName('A.example.com', names, server)).toBe('a.example.com');
    expect(checkCommonName('', names, server)).toBe('');
    expect(() => checkCommonName('b.example.com', names, server)).toThrow(rejected);
  });

  it('is free where the profile says so, but printable and of 64 characters at most (covers: T24)', () => {
    expect(checkCommonName('Alice', [], client)).toBe('Alice');
    expect(() => checkCommonName('Al\0ice', [], client)).toThrow(rejected);
    expect(() => checkCommonName('a'.repeat(65), [], client)).toThrow(rejected);
    expect(() => checkCommonName('x', [], profiles.get('service')!)).toThrow(rejected);
  });
});
