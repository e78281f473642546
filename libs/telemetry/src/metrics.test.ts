import { expect, it } from '@jest/globals';
import { withCorrelation } from './correlation.ts';
import { createMetrics, expositionType, queueDepth, recordBuild } from './metrics.ts';
import { countWaiting } from './queue-depth.ts';

const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const TRACE = 'ab'.repeat(16);

it('asking twice for a name gives the same metric', async () => {
  const metrics = createMetrics();
  metrics.counter('things_total', 'Things.', ['kind']).inc({ kind: 'a' });
  metrics.counter('things_total', 'Things.', ['kind']).inc({ kind: 'a' });
  metrics.histogram('wait_seconds', 'Waits.', []).observe({}, 0.003);
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

// covers: G99
it('OpenMetrics shows the trace of the newest observation of a bucket, the text format none', async () => {
  const metrics = createMetrics();
  const wait = metrics.histogram('wait_seconds', 'Waits.', ['kind']);
  withCorrelation({ traceId: TRACE, requestId: 'r' }, () => wait.observe({ kind: 'a' }, 0.003));
  wait.observe({ kind: 'a' }, 0.2, 'cd'.repeat(16));
  wait.observe({ kind: 'a' }, 60, TRACE);
  wait.startTimer({ kind: 'b' })();
  metrics.counter('things_total', 'Things.', []).inc(3);
  const open = await metrics.exposition(OPENMETRICS);
  expect(open).toMatch(
    new RegExp(
      `_wait_seconds_bucket\\{le="0.005",kind="a"\\} 1 # \\{trace_id="${TRACE}"\\} 0.003 \\d`,
    ),
  );
  expect(open).toContain(`# {trace_id="${'cd'.repeat(16)}"} 0.2`);
  expect(open).toMatch(new RegExp(`le="\\+Inf",kind="a"\\} 3 # \\{trace_id="${TRACE}"\\} 60`));
  expect(open).toContain('# TYPE gigvault_things counter\ngigvault_things_total 3\n');
  expect(open).toMatch(/\n# EOF\n$/);
  // Also after an OpenMetrics scrape, which makes prom-client rename counters.
  const text = await metrics.exposition();
  expect(text).toContain('# TYPE gigvault_things_total counter\ngigvault_things_total 3\n');
  expect(text).toContain('gigvault_wait_seconds_count{kind="b"} 1');
  expect(text).not.toMatch(/trace_id|# EOF/);
  expect(await metrics.exposition(OPENMETRICS)).toContain('\ngigvault_things_total 3\n');
});

it('is OpenMetrics for who accepts it', () => {
  expect(expositionType(`${OPENMETRICS};q=0.8,text/plain;q=0.5`)).toBe(OPENMETRICS);
  for (const accept of [undefined, '*/*', 'text/plain'])
    expect(expositionType(accept)).toBe('text/plain; version=0.0.4; charset=utf-8');
});

// covers: G103
it('shows how much waits in the queues in memory, beside what others tell', async () => {
  const metrics = createMetrics();
  queueDepth(metrics).set({ queue: 'ra.validation' }, 4);
  countWaiting('test.queue', 2);
  countWaiting('test.queue', 3);
  countWaiting('test.queue', -1);
  expect(await metrics.exposition()).toContain('gigvault_queue_depth{queue="test.queue"} 4');
  countWaiting('test.queue', -4);
  const text = await metrics.exposition();
  expect(text).toContain('gigvault_queue_depth{queue="test.queue"} 0');
  expect(text).toContain('gigvault_queue_depth{queue="ra.validation"} 4');
});
