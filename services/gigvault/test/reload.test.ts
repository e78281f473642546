import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@gigvault/testkit/eventually';
import { MODES } from '@gigvault/testkit/pki-process';
import { afterAll, describe, expect, it } from '@jest/globals';
import { usePki } from './use-pki.ts';

const folder = mkdtempSync(join(tmpdir(), 'gigvault-reload-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(MODES)('SIGHUP, %s', (mode) => {
  const file = join(folder, `${mode}.yaml`);
  const policy = join(folder, `${mode}-policy.yaml`);
  const write = (level: string, burst: number, more = '') =>
    writeFileSync(
      file,
      `log: { level: ${level} }
https: { rateLimit: { requestsPerSecond: 50, burst: ${burst} } }
policy: { files: ["${policy}"] }
${more}`,
    );
  write('info', 300);
  writeFileSync(policy, 'name: first\noutcome: allow\n');
  const shared = usePki(mode, '--config', file);

  it('takes over rate limits, log level and policies, names what needs a restart, and nothing ends', async () => {
    const { pki, http } = shared;
    const { pid } = JSON.parse(readFileSync(join(pki.dataDir, 'run.json'), 'utf8')) as {
      pid: number;
    };
    const policyHeader = async () =>
      (await http.fetch(`${pki.publicUrl}/api/v1/keys`)).headers['ratelimit-policy'];
    const lines = () =>
      readFileSync(join(pki.dataDir, 'logs', 'gigvault.log'), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(await policyHeader()).toBe('"client";q=300;w=6');
    expect(lines().some(({ level }) => level === 'debug')).toBe(false);

    write('debug', 200, 'trustDomain: elsewhere.test\n');
    writeFileSync(policy, 'name: second\noutcome: allow\n');
    process.kill(pid, 'SIGHUP');
    await eventually(async () => {
      expect(await policyHeader()).toBe('"client";q=200;w=4');
      // A line at debug.
      await http.fetch(`${pki.publicUrl}/version`);
      const said = lines();
      expect(said.some(({ level }) => level === 'debug')).toBe(true);
      expect(said).toContainEqual(
        expect.objectContaining({
          service: 'policy',
          policies: [expect.stringMatching(/^second@/)],
        }),
      );
      expect(said).toContainEqual(
        expect.objectContaining({
          service: 'gigvault',
          msg: 'changes that need a restart',
          keys: ['trustDomain'],
        }),
      );
    });
    expect(lines().filter(({ msg }) => msg === 'process ended')).toEqual([]);
    expect(
      lines().filter(({ level, operation }) => level === 'error' && operation === 'reload'),
    ).toEqual([]);
  });
});
