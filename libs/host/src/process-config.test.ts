import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { leafKeys } from '@gigvault/config/schema-keys';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { installationRoot } from './home.ts';
import { apiAccessConfig, serviceProcessConfig, sharedConfig } from './process-config.ts';

const KEY = /`([a-zA-Z]+(?:\.[a-zA-Z]+)*)`/g;

function documented(heading: string): string[] {
  const text = readFileSync(join(installationRoot(), 'docs/operations/configuration.md'), 'utf8');
  const section = text.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(KEY)].map(([, key]) => key as string),
  );
}

describe('docs/operations/configuration.md', () => {
  it('names every key of every process, and no other', () => {
    const shared = leafKeys(z.strictObject(sharedConfig));
    expect(documented('Keys of every process').sort()).toEqual(shared.sort());
  });

  it('names every further key of a service’s process, and no other', () => {
    const shared = new Set(leafKeys(z.strictObject(sharedConfig)));
    const own = leafKeys(serviceProcessConfig).filter((key) => !shared.has(key));
    expect(documented("Keys of one service's process").sort()).toEqual(own.sort());
  });
});

it('the API’s gate lets everyone in, a hundred times a second, when nothing is said', () => {
  expect(z.strictObject(apiAccessConfig).parse({})).toEqual({
    allowedNetworks: [],
    rateLimit: { requestsPerSecond: 100, burst: 200 },
  });
});

it('faults and tracing are off when nothing is said', () => {
  expect(z.strictObject(sharedConfig).parse({})).toMatchObject({ tracing: {} });
  expect(z.strictObject(sharedConfig).parse({}).faults).toBeUndefined();
  const wrong = z.strictObject(sharedConfig).safeParse({ tracing: { endpoint: 'ftp://x' } });
  expect(wrong.success).toBe(false);
});
