import { describe, expect, it } from '@jest/globals';
import { profileTable } from './profile-table.ts';

const refused = (profiles: Parameters<typeof profileTable>[0]) =>
  expect(() => profileTable(profiles)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  );

describe('profileTable', () => {
  it('changes the hash of exactly the profile that is changed (covers: T14)', () => {
    const before = profileTable({});
    const after = profileTable({ 'tls-server': { wildcard: false } });
    for (const [name, profile] of before) {
      expect(after.get(name)?.hash === profile.hash).toBe(name !== 'tls-server');
    }
  });

  it('takes a further profile only when it names every field', () => {
    const { name: _, ...complete } = profileTable({}).get('tls-server')!.certificate;
    expect(
      profileTable({ short: { ...complete, issuerId: 'issuing' } }).get('short'),
    ).toMatchObject({
      public: true,
      issuerId: 'issuing',
    });
    refused({ short: complete });
    for (const field of Object.keys(complete)) {
      refused({ short: { ...complete, issuerId: 'issuing', [field]: undefined } });
    }
  });

  it('refuses limits that contradict each other', () => {
    refused({ 'tls-server': { maxValidity: 1_000 } });
    refused({ 'tls-server': { backdate: 3_600_001 } });
    refused({ 'tls-server': { keyTypes: [] } });
  });

  it('keeps internal profiles internal', () => {
    const table = profileTable({ service: { wildcard: false } });
    expect(table.get('service')?.public).toBe(false);
  });
});
