import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import { describe, expect, it } from '@jest/globals';
import { MAX_CONNECTIONS } from './embedded-postgres.ts';
import { CONNECTION_BUDGET, poolSize } from './pools.ts';

describe('poolSize', () => {
  it('keeps all services together within the budget, and below what the server takes', () => {
    const total = SERVICE_NAMES.reduce(
      (sum, service) => sum + poolSize(service, CONNECTION_BUDGET),
      0,
    );
    expect(total).toBeLessThanOrEqual(CONNECTION_BUDGET);
    expect(CONNECTION_BUDGET).toBeLessThan(MAX_CONNECTIONS - 10);
  });

  it('leaves every service enough to live on a small budget', () => {
    for (const service of SERVICE_NAMES) expect(poolSize(service, 20)).toBeGreaterThanOrEqual(4);
  });
});
