import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Proof } from '../ports/authorization-store.ts';
import { checkProofs } from './check-proofs.ts';

const dns = (value: string) => ({ type: 'dns', value });
const proof = (
  name: string,
  validated = name,
  authorizationId = `id-${name}-${validated}`,
): Proof => ({
  authorizationId,
  identifier: dns(name),
  validated: dns(validated),
});

function accepts(names: readonly string[], proofs: readonly Proof[]): boolean {
  try {
    checkProofs(names.map(dns), proofs);
    return true;
  } catch (error) {
    if (error instanceof GigvaultError && error.code === 'UNAUTHORIZED_IDENTIFIER') return false;
    throw error;
  }
}

describe('checkProofs', () => {
  it.each([
    ['evidence that speaks about another name than its authorization', ['a'], [proof('b', 'a')]],
    ['an authorization whose evidence speaks about another name', ['a'], [proof('a', 'b')]],
    [
      'one name checked as often as there are names',
      ['a', 'b', 'c'],
      [proof('a', 'a', '1'), proof('a', 'a', '2'), proof('a', 'a', '3')],
    ],
    ['one authorization for two names', ['a', 'b'], [proof('a', 'a', '1'), proof('b', 'b', '1')]],
    [
      'a name of another type',
      ['a'],
      [
        {
          ...proof('a'),
          identifier: { type: 'ip', value: 'a' },
          validated: { type: 'ip', value: 'a' },
        },
      ],
    ],
    ['no names', [], []],
  ])('refuses %s', (_what, names, proofs) => {
    expect(accepts(names, proofs)).toBe(false);
  });

  it('accepts exactly when each name has a proof of its own, in whatever order and however many more there are — covers: L1', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const names = fc.uniqueArray(name, { minLength: 1 });
    const proofs = fc.array(fc.record({ name, validated: name }));
    fc.assert(
      fc.property(names, proofs, (wanted, made) => {
        const proved = new Set(
          made.filter((one) => one.name === one.validated).map((one) => one.name),
        );
        const given = made.map((one, index) => proof(one.name, one.validated, String(index)));
        expect(accepts(wanted, given)).toBe(wanted.every((one) => proved.has(one)));
      }),
    );
  });

  it('names each name that has no proof', () => {
    expect(() => checkProofs([dns('a'), dns('b'), dns('c')], [proof('b')])).toThrow(
      expect.objectContaining({
        problems: [
          { pointer: '/subjectAltName/0', message: expect.stringContaining('"a"') },
          { pointer: '/subjectAltName/2', message: expect.stringContaining('"c"') },
        ],
      }),
    );
  });
});
