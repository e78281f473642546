import { beforeEach, describe, expect, it } from '@jest/globals';
import { API } from './fake-server.ts';
import { useCli } from './use-cli.ts';

const SIZE = 2_500;
const cli = useCli();

const entry = (leafIndex: number) => ({
  leafIndex,
  leaf: 'AA==',
  leafHash: 'AA==',
  event: {
    producer: 'ca',
    position: leafIndex + 1,
    type: 'certificate.issued',
    occurredAt: new Date(1_763_764_800_000 + leafIndex).toISOString(),
    actor: 'service:ra',
    subject: `s${leafIndex}`,
    traceId: '',
    data: {},
  },
});

beforeEach(() => {
  cli.server.routes[`GET ${API}/audit/checkpoint`] = () => ({
    status: 200,
    body: { treeSize: SIZE },
  });
  cli.server.routes[`GET ${API}/audit/entries`] = ({ query }) => {
    const [start, limit] = [Number(query.get('start')), Number(query.get('limit'))];
    if (limit > 1_000) return { status: 400 };
    const count = Math.max(0, Math.min(limit, SIZE - start));
    const items = Array.from({ length: count }, (_, n) => entry(start + n));
    const more = count === limit ? { nextStart: start + limit } : {};
    return { status: 200, body: { items, ...more } };
  };
});

const indices = (out: string): number[] =>
  (JSON.parse(out) as { items: { leafIndex: number }[] }).items.map((item) => item.leafIndex);

describe('audit list', () => {
  it('shows the newest entries, in order', async () => {
    const run = await cli.machine.run('audit list --limit 2');
    expect(run.code).toBe(0);
    const [head, ...rows] = run.out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(head).toEqual(['INDEX', 'TIME', 'SERVICE', 'TYPE', 'ACTOR', 'SUBJECT']);
    expect(rows).toEqual([
      ['2498', '2025-11-21T22:40:02.498Z', 'ca', 'certificate.issued', 'service:ra', 's2498'],
      ['2499', '2025-11-21T22:40:02.499Z', 'ca', 'certificate.issued', 'service:ra', 's2499'],
    ]);
  });

  it('shows a hundred, or as many as are wanted, page by page', async () => {
    const newest = await cli.machine.run('audit list -o json');
    expect(indices(newest.out)).toEqual(Array.from({ length: 100 }, (_, n) => SIZE - 100 + n));
    const all = await cli.machine.run('audit list --start 0 --limit 9999 -o json');
    expect(indices(all.out)).toEqual(Array.from({ length: SIZE }, (_, n) => n));
    const some = await cli.machine.run('audit list --start 900 --limit 1200 -o json');
    expect(indices(some.out)).toEqual(Array.from({ length: 1_200 }, (_, n) => 900 + n));
    expect(JSON.parse(some.out)).toMatchObject({ items: { 0: entry(900) } });
  });

  it('shows an entry that was damaged as that', async () => {
    cli.server.routes[`GET ${API}/audit/entries`] = () => ({
      status: 200,
      body: { items: [{ ...entry(7), event: null }] },
    });
    const run = await cli.machine.run('audit list --start 7');
    expect(run.out).toMatch(/\n7 +- +- +damaged +- +-\n$/);
  });

  it('takes an index and nothing else', async () => {
    const run = await cli.machine.run('audit list --start -3');
    expect(run.code).toBe(2);
    expect((await cli.machine.run('audit list --start x')).err).toContain(
      '"x" is not an index: write a number from 0 on.',
    );
  });
});
