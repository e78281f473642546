import { describe, expect, it } from '@jest/globals';
import { caConfig } from './ca.config.ts';
import { profileTable } from './issuance/profile-table.ts';

describe('the configuration', () => {
  it('has a default for everything', () => {
    expect(caConfig.parse({})).toEqual({
      profiles: {},
      auditLag: { events: 10_000, age: 60_000 },
      reconciliation: { interval: 10_000, age: 30_000, ageAtStart: 2_000, grace: 1_000 },
      batch: { maxItems: 250, maxQueue: 5_000 },
    });
  });

  it('reads durations, and feeds the profile table', () => {
    const { profiles } = caConfig.parse({
      profiles: { 'tls-server': { defaultValidity: '7d', backdate: '5m' } },
    });
    expect(profileTable(profiles).get('tls-server')?.certificate).toMatchObject({
      defaultValidity: 7 * 86_400_000,
      backdate: 300_000,
    });
  });

  it.each([
    { profiles: { 'tls-server': { keyUsage: ['keyCertSign'] } } },
    { profiles: { 'tls-server': { colour: 'red' } } },
    { profiles: { 'tls-server': { defaultValidity: '1 week' } } },
    { unknown: 1 },
  ])('refuses %j', (config) => {
    expect(caConfig.safeParse(config).success).toBe(false);
  });
});
