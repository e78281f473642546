import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { dnsNameProblem, normalizeDnsName } from './dns-name.ts';

const STRICT = { development: false, wildcard: true };
const DEVELOPMENT = { development: true, wildcard: true };
const label63 = 'a'.repeat(63);

describe('normalizeDnsName', () => {
  it.each([
    ['example.com', 'example.com'],
    ['API.Example.COM', 'api.example.com'],
    ['*.example.com', '*.example.com'],
    ['a-b.c1.example', 'a-b.c1.example'],
    ['xn--mnchen-3ya.de', 'xn--mnchen-3ya.de'],
    [`${label63}.example`, `${label63}.example`],
    ['1.example.com', '1.example.com'],
  ])('takes %s', (value, name) => {
    expect(normalizeDnsName(value, STRICT)).toBe(name);
  });

  // covers: T24, T25
  it.each([
    ['an empty name', ''],
    ['a NUL', 'example.com\0.evil.org'],
    ['a control character', 'exa\u0007mple.com'],
    ['a line break at the end', 'example.com\n'],
    ['a space', 'exam ple.com'],
    ['a U-label', 'münchen.de'],
    ['a letter that lower-cases into ASCII', '\u212Aelvin.com'],
    ['a full-width dot', 'example\uff0ecom'],
    ['bad punycode', 'xn--a.com'],
    ['punycode of nothing', 'xn--.com'],
    ['punycode of plain ASCII', 'xn--abc-.com'],
    ['punycode of upper case', 'xn--Mnchen-3ya.de'.replace('xn--M', 'xn--mnchen-3ya9')],
    ['a homograph of mixed scripts', 'xn--pypal-4ve.com'],
    ['reserved hyphens', 'ab--c.com'],
    ['a trailing dot', 'example.com.'],
    ['a leading dot', '.example.com'],
    ['two dots', 'example..com'],
    ['an underscore', '_acme.example.com'],
    ['a label of 64 octets', `${label63}a.example`],
    ['a name of 254 octets', `${`${label63}.`.repeat(3)}${'b'.repeat(58)}.com`],
    ['a leading hyphen', '-a.example.com'],
    ['a trailing hyphen', 'a-.example.com'],
    ['a bare top-level domain', 'com'],
    ['localhost', 'localhost'],
    ['a name below localhost', 'a.localhost'],
    ['a numeric top-level domain', 'example.123'],
    ['an IPv4 address', '192.0.2.1'],
    ['an IPv6 address', '2001:db8::1'],
    ['a wildcard of a top-level domain', '*.com'],
    ['a bare wildcard', '*'],
    ['a wildcard inside', 'a.*.example.com'],
    ['a wildcard in a label', 'a*.example.com'],
    ['two wildcards', '*.*.example.com'],
    ['a reverse zone', '1.2.0.192.in-addr.arpa'],
    ['an IPv6 reverse zone', '8.b.d.0.ip6.arpa'],
    ['a wildcard of a reverse zone', '*.192.in-addr.arpa'],
  ])('refuses %s', (_, value) => {
    expect(() => normalizeDnsName(value, STRICT)).toThrow(
      expect.objectContaining({ code: 'REJECTED_IDENTIFIER' }),
    );
  });

  it('takes localhost names in development only', () => {
    for (const name of ['localhost', 'api.localhost', '*.localhost', 'a.b.localhost']) {
      expect(normalizeDnsName(name, DEVELOPMENT)).toBe(name);
      expect(dnsNameProblem(name, STRICT)).toBeDefined();
    }
    expect(dnsNameProblem('com', DEVELOPMENT)).toBeDefined();
  });

  it('refuses wildcards where they are not allowed', () => {
    expect(dnsNameProblem('*.example.com', { development: false, wildcard: false })).toMatch(
      /wildcard/,
    );
  });

  it('gives names of letters, digits, hyphens and dots, and is idempotent, for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.domain()), (text) => {
        if (dnsNameProblem(text.toLowerCase(), STRICT) !== undefined) return;
        const name = normalizeDnsName(text, STRICT);
        expect(name).toMatch(/^(\*\.)?[a-z0-9.-]+$/);
        expect(normalizeDnsName(name, STRICT)).toBe(name);
      }),
    );
  });
});
