import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secretResolver } from '@gigvault/secrets/secret-resolver';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { keymgrConfig } from '../src/keymgr.config.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import { openKeymgr, prepareMasterKey } from '../src/open-keymgr.ts';

it('whoever writes is turned away at once by a database that is away, whatever they write', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'gigvault-breaker-'));
  const database = await startTestDatabase();
  const config = keymgrConfig.parse({});
  await prepareMasterKey(config, dataDir);
  const faulty = faultyPool(await database.pool('keymgr', keymgrService.migrations));
  const { pool, asked } = faulty;
  const secrets = secretResolver(secretsConfig.parse({}), {});
  const around = { clock: systemClock, log: silentLog, metrics: createMetrics(), secrets };
  const keymgr = await openKeymgr({ config, dataDir, database: pool, ...around });
  faulty.isAway = true;

  const { keys, events, backendTests } = keymgr;
  const write = () =>
    Promise.allSettled([
      events.append({ type: 'backend.tested', actor: 'user:a', subject: 'pkcs8', data: {} }),
      backendTests.begin({ backend: 'pkcs8', name: 'n' as never, keyType: 'ec-p256' }, 0),
      keys.usage.refused({ keyId: 'k', purpose: 'sign', caller: 'user:a' }, 'not theirs'),
    ]);
  await Promise.allSettled(Array.from({ length: 10 }, () => keys.keys.find('k')));
  // Now and then one of them is let through, to try again.
  await eventually(async () => {
    const before = asked();
    const outcomes = await write();
    expect(outcomes.map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
    expect(asked()).toBe(before);
  });
  await keymgr.close();
  await database.stop();
  await rm(dataDir, { recursive: true });
}, 60_000);

/** The same pool, with how often it was asked for anything, and a switch with which nobody gets a connection any more. */
function faultyPool(real: Pool) {
  let count = 0;
  const refused = () =>
    Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
  const pool = new Proxy(real, {
    get(target, name) {
      const asks = name === 'connect' || name === 'query';
      if (asks) count += 1;
      if (asks && faulty.isAway) return refused;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const faulty = { pool, isAway: false, asked: () => count };
  return faulty;
}
