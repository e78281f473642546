import { expect, it } from '@jest/globals';
import { createMetrics, recordBuild } from './metrics.ts';

it('asking twice for a name gives the same metric', async () => {
  const metrics = createMetrics();
  metrics.counter('things_total', 'Things.', ['kind']).inc({ kind: 'a' });
  metrics.counter('things_total', 'Things.', ['kind']).inc({ kind: 'a' });
  metrics.histogram('wait_seconds', 'Waits.', []).observe(0.003);
  metrics.gauge('depth', 'Depth.', []).set(7);
  const text = await metrics.exposition();
  expect(text).toContain('gigvault_things_total{kind="a"} 2');
  expect(text).toContain('gigvault_wait_seconds_bucket{le="0.005"} 1');
  expect(text).toContain('gigvault_depth 7');
});

it('two processes’ worth of metrics do not mix', async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.counter('things_total', 'Things.', []).inc();
  expect(await other.exposition()).not.toContain('things_total');
});

it('tells of the process and of the build', async () => {
  const metrics = createMetrics();
  recordBuild(metrics, '1.2.3', 'abc');
  const text = await metrics.exposition();
  expect(text).toContain(
    `gigvault_build_info{version="1.2.3",commit="abc",node="${process.version}"} 1`,
  );
  for (const name of [
    'process_resident_memory_bytes',
    'process_cpu_seconds_total',
    'nodejs_eventloop_lag_seconds',
  ])
    expect(text).toContain(`\n${name} `);
});
