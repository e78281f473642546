import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { LARGEST_LIST } from '@gigvault/rpc/message-size';
import { silentLog } from '@gigvault/telemetry/log';
import { startTestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { encodeCrlEntry } from '@gigvault/x509/crl';
import { CrlInit1764000000000 } from '../migrations/1764000000000-crl-init.ts';
import { CrlEntryOrder1764100000000 } from '../migrations/1764100000000-crl-entry-order.ts';
import { CrlParts1764200000000 } from '../migrations/1764200000000-crl-parts.ts';
import { CrlRuns1764300000000 } from '../migrations/1764300000000-crl-runs.ts';
import { CrlLast1796100000000 } from '../migrations/1796100000000-crl-last.ts';
import { pgCrlStore } from '../src/adapters/pg-crl-store.ts';
import { pgIssuerStore } from '../src/adapters/pg-issuer-store.ts';
import { pgShardDirectory } from '../src/adapters/pg-shard-directory.ts';
import { rpcCrlSigner } from '../src/adapters/rpc-crl-signer.ts';
import { generateCrl } from '../src/generation/generate-crl.ts';
import { fakeCa } from '../test/fake-ca.ts';
import { fakeKeymgr } from '../test/fake-keymgr.ts';

/** One shard of N entries, from table to published, RPC left out: `node services/crl/bench/generate-crl.ts [entries]`. */
const entries = Number(process.argv[2] ?? 1_000_000);
const database = await startTestDatabase();
const pool = await database.pool('crl', [
  CrlInit1764000000000,
  CrlEntryOrder1764100000000,
  CrlParts1764200000000,
  CrlRuns1764300000000,
  CrlLast1796100000000,
]);
const keymgr = fakeKeymgr();
const issuer = fakeCa(systemClock).addIssuer('issuing', 1, keymgr.keys);
await pgIssuerStore(pool).save([{ ...issuer, prepared: false, endsAt: undefined }]);
const now = systemClock.now();
// All serial numbers have sixteen octets, so the entries differ in those alone: bytes 4 to 19.
const sample = encodeCrlEntry({ serialNumber: '7f'.repeat(16), revokedAt: now, reasonCode: 1 });
const owner = database.ownerPool('crl');
await owner.query('SET statement_timeout = 0');
await owner.query(
  `INSERT INTO revoked (issuer_id, serial_number, crl_shard, first_number, revoked_at, reason_code, not_after, entry)
   SELECT 'issuing', encode(serial, 'hex'), 0, 1, $2, 1, $2::bigint + 86400000, substr($3::bytea, 1, 4) || serial || substr($3::bytea, 21)
     FROM (SELECT substr('\\x7f'::bytea || sha256(int8send(n)), 1, 16) AS serial FROM generate_series(1, $1::bigint) AS n) AS s`,
  [entries, now, sample],
);
await owner.query('ANALYZE revoked');
const store = pgCrlStore(pool);
const deps = {
  store,
  signer: rpcCrlSigner(keymgr.signing),
  clock: systemClock,
  clockGuard: createClockGuard(systemClock),
  log: silentLog,
  validity: 86_400_000,
  turn: () => setImmediate(),
  largest: LARGEST_LIST,
};
for (let i = 0; i < 3; i++) {
  const [shard] = await pgShardDirectory(pool).list();
  const start = performance.now();
  const cpu = process.cpuUsage();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await generateCrl(deps, shard!, true);
  const seconds = (performance.now() - start) / 1000;
  delay.disable();
  const { user, system } = process.cpuUsage(cpu);
  const { rss } = process.memoryUsage();
  process.stdout.write(
    `${JSON.stringify({ entries, seconds, cpuMs: Math.round((user + system) / 1000), rssMiB: Math.round(rss / 2 ** 20), longestStallMs: Math.round(delay.max / 1e6) })}\n`,
  );
}
await database.stop();
