import { checkNames as checkCertificateNames } from '@gigvault/ca/issuance/check-names';
import type { IssuanceProfile } from '@gigvault/ca/issuance/profile-table';
import { checkIdentifiers } from '@gigvault/enroll/order/order-identifiers';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { normalizeIdentifiers } from '@gigvault/ra/authorization/normalize-identifiers';
import { checkNames as checkRequestNames } from '@gigvault/ra/enrolment/check-names';
import type { CertificationRequest } from '@gigvault/x509/certification-request';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

const profile = {
  name: 'tls-server',
  public: true,
  certificate: { nameTypes: ['dns'], wildcard: false },
} as unknown as IssuanceProfile;

/** Every way by which a DNS name comes in, and what it makes of it. */
const ENTRIES: Readonly<Record<string, (value: string, development: boolean) => string[]>> = {
  'an order': (value, development) =>
    checkIdentifiers([{ type: 'dns', value }], development).map((name) => name.value),
  'an authorization': (value, development) =>
    normalizeIdentifiers([{ type: 'dns', value }], { development, allowedNetworks: [] }).map(
      (name) => name.value,
    ),
  'a certification request': (value, development) => {
    const request = { subjectAltName: [{ type: 'dns', value }] } as unknown as CertificationRequest;
    return checkRequestNames(request, [], { development }).subjectAltName.map((name) => name.value);
  },
  'a certificate': (value, development) =>
    checkCertificateNames([{ type: 'dns', value }], profile, development).map((name) => name.value),
};

/** What an entry makes of a name: its one form, or the code of the refusal. */
function outcome(entry: (typeof ENTRIES)[string], value: string, development: boolean): string {
  try {
    return entry(value, development).join();
  } catch (error) {
    if (error instanceof GigvaultError) return error.code;
    throw error;
  }
}

describe('a DNS name', () => {
  it('is the same or refused, whichever way it comes in — covers: T25, L5', () => {
    const label = fc.oneof(
      fc.stringMatching(/^[a-z0-9]{1,4}$/),
      fc.stringMatching(/^[A-Za-z0-9_-]{0,6}$/),
      fc.constantFrom(
        'xn--bcher-kva',
        'xn--a',
        'XN--BCHER-KVA',
        'b\u00fccher',
        'a'.repeat(63),
        'a'.repeat(64),
      ),
      fc.constantFrom('com', 'localhost', 'example', 'arpa', 'in-addr', '', '\u0000', ' ', '_acme'),
    );
    const name = fc
      .tuple(fc.array(label, { minLength: 1, maxLength: 5 }), fc.constantFrom('', '', '', '.'))
      .map(([labels, end]) => labels.join('.') + end)
      // Wildcards are a matter of profile and protocol.
      .filter((text) => !text.startsWith('*'));
    const seen = new Set<string>();
    fc.assert(
      fc.property(name, fc.boolean(), (value, development) => {
        const outcomes = Object.entries(ENTRIES).map(([way, entry]) => [
          way,
          outcome(entry, value, development),
        ]);
        const [, first = ''] = outcomes[0]!;
        expect(outcomes).toEqual(outcomes.map(([way]) => [way, first]));
        seen.add(first === 'REJECTED_IDENTIFIER' ? 'refused' : 'taken');
      }),
      { numRuns: 1000 },
    );
    expect(seen).toEqual(new Set(['refused', 'taken']));
  });
});
