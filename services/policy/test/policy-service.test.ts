import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@gigvault/telemetry/log';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { filePolicySource } from '../src/adapters/file-policy-source.ts';
import { PolicyRpc } from '../src/api/grpc.ts';

const DAY = 86_400_000;
const REQUEST = {
  protocol: 'acme',
  requester: 'acme:1',
  roles: [] as string[],
  profile: 'tls-server',
  commonName: '',
  subjectAltName: [{ type: 'dns', value: 'a.localhost' }],
  keyType: 'ec-p256',
  validity: 47 * DAY,
  tenantId: 'default',
  keyUsages: ['digitalSignature', 'serverAuth'],
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'policy-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the built-in policies (covers: G40)', () => {
  const rpc = new PolicyRpc(filePolicySource([], silentLog));
  const judge = async (change: object) =>
    (await rpc.evaluate({ ...REQUEST, ...change })).decision?.outcome;
  const dns = (value: string) => ({ subjectAltName: [{ type: 'dns', value }] });

  it('allow ACME names, whose control the RA has validated', async () => {
    expect(await judge({})).toBe('allow');
    expect(await judge(dns('www.corp.example'))).toBe('allow');
    expect(await judge(dns('*.corp.example'))).toBe('deny');
    expect(await judge({ validity: 91 * DAY })).toBe('deny');
    expect(await judge({ profile: 'service' })).toBe('deny');
  });

  it('allow local names to operators, and ask a person for the rest', async () => {
    for (const role of ['operator', 'admin']) {
      expect(await judge({ protocol: 'rest', roles: [role] })).toBe('allow');
      expect(await judge({ protocol: 'rest', roles: [role], ...dns('www.corp.example') })).toBe(
        'review',
      );
    }
    expect(await judge({ protocol: 'rest', roles: ['requester'] })).toBe('review');
    expect(await judge({ protocol: 'rest', roles: [], ...dns('www.corp.example') })).toBe('review');
  });
});

describe('policies of files', () => {
  const outcomeOf = (source: ReturnType<typeof filePolicySource>) =>
    source.current().map(({ document }) => document.name);

  it('are read in order, directories by name', () => {
    writeFileSync(join(directory, 'b.yaml'), 'name: b\noutcome: allow\n');
    writeFileSync(join(directory, 'a.yml'), 'name: a\noutcome: allow\n');
    writeFileSync(join(directory, 'notes.txt'), 'not a policy');
    expect(outcomeOf(filePolicySource([directory], silentLog))).toEqual(['a', 'b']);
  });

  it('are swapped by a reload, and kept when the new ones are wrong', () => {
    const file = join(directory, 'a.yaml');
    writeFileSync(file, 'name: a\noutcome: allow\n');
    const source = filePolicySource([file], silentLog);
    writeFileSync(file, 'name: c\noutcome: deny\n');
    source.reload();
    expect(outcomeOf(source)).toEqual(['c']);
    writeFileSync(file, 'name: d\noutcome: perhaps\n');
    expect(() => source.reload()).toThrow(/outcome/);
    expect(outcomeOf(source)).toEqual(['c']);
  });

  it.each([
    ['a missing file', () => [join(directory, 'missing.yaml')], /cannot be read/],
    ['an empty directory', () => [directory], /No policy/],
  ])('refuses %s', (_what, files, message) => {
    expect(() => filePolicySource(files(), silentLog)).toThrow(message);
  });

  it('refuses two policies of one name', () => {
    writeFileSync(
      join(directory, 'a.yaml'),
      'name: a\noutcome: allow\n---\nname: a\noutcome: deny\n',
    );
    expect(() => filePolicySource([directory], silentLog)).toThrow(/Two policies/);
  });
});
