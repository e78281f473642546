import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { crlFiles } from '../src/adapters/crl-files.ts';
import { createServedCrls } from '../src/serving/served-crls.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gigvault-crl-'));
});
afterEach(() => rm(directory, { recursive: true }));

const SHARD = { issuerId: 'root', crlShard: 0 };

it('a large CRL that comes again under its number is served, and its copy of before is gone', async () => {
  const served = createServedCrls(crlFiles(directory));
  for (const fill of ['a', 'b']) {
    const der = Buffer.alloc(1_200_000, fill);
    await served.put(SHARD, {
      crlNumber: 7,
      thisUpdate: 0,
      nextUpdate: 1,
      entryCount: 0,
      octets: der.length,
      parts: () => [der],
    });
    const body = await served.get('root', 0)?.body.open();
    expect((await buffer(body as AsyncIterable<Buffer>)).equals(der)).toBe(true);
  }
  expect(await readdir(directory)).toHaveLength(1);
});
