import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { HIDDEN } from './config-problems.ts';
import { duration } from './duration.ts';
import { type ConfigSources, loadConfig, readConfig } from './load-config.ts';
import { SECRET_PLACE, secretReference } from './secret.ts';
import { environmentName } from './variables.ts';

const SCHEMA = z.strictObject({
  host: z.string().default('localhost'),
  https: z
    .strictObject({
      port: z.int().min(0).max(65_535).default(8443),
      allowedNetworks: z.array(z.string().min(1)).default([]),
    })
    .prefault({}),
  split: z.boolean().default(false),
  ratio: z.number().default(1),
  adminToken: secretReference.optional(),
  interval: duration.prefault('1ms'),
  database: z
    .strictObject({
      url: z
        .url()
        .meta({ ...HIDDEN, ...SECRET_PLACE })
        .optional(),
    })
    .prefault({}),
  profiles: z.record(z.string(), z.strictObject({ wildcard: z.boolean() })).default({}),
  channels: z.array(z.strictObject({ url: z.string() })).default([]),
});

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gigvault-config-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function load(sources: Partial<ConfigSources> & { yaml?: string }) {
  const { yaml, ...rest } = sources;
  const file = join(folder, 'gigvault.yaml');
  if (yaml !== undefined) writeFileSync(file, yaml);
  const from = { flags: {}, environment: {}, ...rest };
  return loadConfig(SCHEMA, yaml === undefined ? from : { ...from, file });
}

function problemsOf(sources: Parameters<typeof load>[0]): string[] {
  try {
    load(sources);
  } catch (error) {
    if (error instanceof GigvaultError)
      return error.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
    throw error;
  }
  throw new Error('the configuration was accepted');
}

function messageOf(sources: Parameters<typeof load>[0]): string {
  try {
    load(sources);
  } catch (error) {
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    return (error as Error).message;
  }
  throw new Error('the configuration was accepted');
}

describe('the order of sources', () => {
  const yaml = 'https: { port: 1 }';
  const environment = { GIGVAULT_HTTPS_PORT: '2' };
  const flags = { 'https.port': '3' };

  it('is flags over environment over file over defaults', () => {
    expect(load({}).https.port).toBe(8443);
    expect(load({ yaml }).https.port).toBe(1);
    expect(load({ yaml, environment }).https.port).toBe(2);
    expect(load({ yaml, environment, flags }).https.port).toBe(3);
  });

  it('leaves a section’s other keys alone', () => {
    expect(load({ yaml: 'https: { allowedNetworks: [a] }', flags }).https).toEqual({
      port: 3,
      allowedNetworks: ['a'],
    });
  });

  it('says what was written, so that another process can read it again', () => {
    const sources = { flags: { split: true }, environment: { GIGVAULT_HOST: 'x' } };
    expect(readConfig(SCHEMA, sources).written).toEqual({ split: true, host: 'x' });
  });
});

describe('a text of a flag or variable', () => {
  it('becomes what its key wants', () => {
    const environment = {
      GIGVAULT_HOST: '12345',
      GIGVAULT_HTTPS_PORT: '9000',
      GIGVAULT_SPLIT: 'true',
      GIGVAULT_RATIO: '0.25',
      GIGVAULT_INTERVAL: '5m',
      GIGVAULT_HTTPS_ALLOWED_NETWORKS: '10.0.0.0/8, ::1',
    };
    expect(load({ environment })).toMatchObject({
      host: '12345',
      https: { port: 9000, allowedNetworks: ['10.0.0.0/8', '::1'] },
      split: true,
      ratio: 0.25,
      interval: 300_000,
    });
  });

  it('may be one item of a list', () => {
    const environment = {
      GIGVAULT_HTTPS_ALLOWED_NETWORKS_0: 'a',
      GIGVAULT_HTTPS_ALLOWED_NETWORKS_1: 'b',
    };
    expect(load({ environment }).https.allowedNetworks).toEqual(['a', 'b']);
  });

  it.each([
    [
      'GIGVAULT_HTTPS_PORT',
      'abc',
      'https.port: must be a whole number from 0 to 65535, not "abc" (GIGVAULT_HTTPS_PORT)',
    ],
    [
      'GIGVAULT_HTTPS_PORT',
      '70000',
      'https.port: must be a whole number from 0 to 65535, not "70000" (GIGVAULT_HTTPS_PORT)',
    ],
    ['GIGVAULT_SPLIT', 'yes', 'split: must be true or false, not "yes" (GIGVAULT_SPLIT)'],
    [
      'GIGVAULT_INTERVAL',
      '900',
      'interval: must be a length of time: its unit is missing, as in "900s" or "900ms", not "900" (GIGVAULT_INTERVAL)',
    ],
    [
      'GIGVAULT_INTERVAL',
      'soon',
      'interval: must be a length of time with its unit, as "90d", "12h", "15m", "10s" or "500ms", not "soon" (GIGVAULT_INTERVAL)',
    ],
    ['GIGVAULT_DATABASE_URL', 'hunter2', 'database.url: must be a URL (GIGVAULT_DATABASE_URL)'],
  ])('that is wrong is said so in a sentence: %s=%s', (name, value, problem) => {
    expect(problemsOf({ environment: { [name]: value } })).toEqual([problem]);
  });

  it('that is wrong names its flag or file, whichever said it', () => {
    const yaml = 'https: { port: x, allowedNetworks: [1] }\ninterval: 900';
    const file = `(${join(folder, 'gigvault.yaml')})`;
    expect(problemsOf({ yaml, flags: { 'https.port': true, split: '2' } })).toEqual([
      'https.port: needs a value (--https-port)',
      expect.stringMatching(/^https\.port: .* not "x" \(/),
      `https.allowedNetworks.0: must be a text, not 1 ${file}`,
      'split: must be true or false, not "2" (--split)',
      `interval: must be a length of time: its unit is missing, as in "900s" or "900ms", not 900 ${file}`,
    ]);
    expect(problemsOf({ yaml: 'https: 5' })).toEqual([
      `https: must be a section with keys of its own, not 5 ${file}`,
    ]);
  });

  it('names a secret’s file, by the variable’s twin', () => {
    const environment = { GIGVAULT_ADMIN_TOKEN_FILE: '/run/secrets/token' };
    expect(load({ environment }).adminToken).toBe('file:///run/secrets/token');
    const url = { GIGVAULT_DATABASE_URL_FILE: '/run/secrets/url' };
    expect(load({ environment: url }).database.url).toBe('file:///run/secrets/url');
    expect(problemsOf({ environment: { GIGVAULT_ADMIN_TOKEN: 'hunter2' } })).toEqual([
      'adminToken: must be the place of a secret: file:///path, env://NAME, vault://mount/path#field, aws-sm://name or aws-ssm:///name (GIGVAULT_ADMIN_TOKEN)',
    ]);
  });
});

describe('an unknown key', () => {
  it.each([
    ['htps: { port: 1 }', 'htps: unknown key (did you mean "https"?)'],
    ['https: { prot: 1 }', 'https.prot: unknown key (did you mean "https.port"?)'],
    ['httpsPort: 1', 'httpsPort: unknown key (did you mean "https.port"?)'],
    ['banana: 1', 'banana: unknown key'],
    ['__proto__: { split: true }', '__proto__: unknown key'],
    ['constructor: 1', 'constructor: unknown key'],
    [
      'profiles: { web: { wildcard: true, wildcrad: 1 } }',
      'profiles.web.wildcrad: unknown key (did you mean "profiles.web.wildcard"?)',
    ],
    [
      'channels: [{ url: a, ulr: b }]',
      'channels.0.ulr: unknown key (did you mean "channels.0.url"?)',
    ],
  ])('is refused, with the nearest known one: %s', (yaml, problem) => {
    expect(problemsOf({ yaml })).toEqual([`${problem} (${join(folder, 'gigvault.yaml')})`]);
  });

  it('is refused among flags too', () => {
    expect(problemsOf({ flags: { 'https.prot': '1' } })).toEqual([
      'https.prot: unknown key (did you mean "https.port"?)',
    ]);
  });

  it('does not hide what else is wrong', () => {
    const problems = problemsOf({ yaml: 'hots: x\nsplit: 7\nhttps: { port: 70000 }' });
    expect(problems.map((p) => p.split(':', 1)[0]).sort()).toEqual(['hots', 'https.port', 'split']);
  });
});

describe('a file', () => {
  it('that is not there is named', () => {
    const file = join(folder, 'missing.yaml');
    expect(messageOf({ file })).toContain(file);
  });

  it('that is empty says nothing', () => {
    expect(load({ yaml: '' }).host).toBe('localhost');
  });

  it.each([
    ['names a key twice', 'host: a\nhost: b'],
    ['is no YAML', 'host: [a'],
    ['is a list', '- a'],
    ['is two documents', 'host: a\n---\nhost: b'],
    ['is nested without an end', '['.repeat(1_000_000)],
    ['is a bomb of aliases', 'host: &a [x, x]\nsplit: &b [*a, *a]\nratio: [*b, *b]'],
  ])('that %s is refused, in one line (covers: T70)', (_what, yaml) => {
    expect(messageOf({ yaml })).toMatch(
      /^The configuration file .*gigvault\.yaml cannot be read: [^\n]+$/,
    );
  });
});

describe('the configuration', () => {
  it('cannot be changed afterwards', () => {
    const config = load({ yaml: 'https: { allowedNetworks: [a] }' });
    for (const part of [config, config.https, config.https.allowedNetworks])
      expect(Object.isFrozen(part)).toBe(true);
  });
});

describe('variables that mean nothing', () => {
  const unknown = (environment: Record<string, string>, yaml = '') => {
    const file = join(folder, 'gigvault.yaml');
    writeFileSync(file, yaml);
    const { unknownVariables } = readConfig(SCHEMA, { flags: {}, environment, file });
    return unknownVariables.map(({ pointer, message }) => `${pointer} ${message}`);
  };

  it('are found, with the nearest that means something', () => {
    expect(
      unknown({ GIGVAULT_HTPS_PORT: '1', GIGVAULT_ZEBRA_CROSSING: '1', HTTPS_PORT: '1' }),
    ).toEqual([
      'GIGVAULT_HTPS_PORT means nothing; did you mean GIGVAULT_HTTPS_PORT?',
      'GIGVAULT_ZEBRA_CROSSING means nothing',
    ]);
  });

  it('are none of those that other programs read or set', () => {
    const ours = { GIGVAULT_CONFIG: 'x', GIGVAULT_API_KEY: 'x', GIGVAULT_ADMIN_TOKEN_FILE: '/x' };
    const url = { GIGVAULT_DATABASE_URL_FILE: '/x' };
    const links = {
      GIGVAULT_PORT_8443_TCP_ADDR: 'x',
      GIGVAULT_PORT: 'tcp://10.0.0.1:8443',
      GIGVAULT_EDGE_SERVICE_HOST: 'x',
    };
    expect(
      unknown({ ...ours, ...url, ...links, GIGVAULT_HTTPS_ALLOWED_NETWORKS_0: '::1' }),
    ).toEqual([]);
    const inUri = (place: string) => `host: "pkcs11:token=a?pin-source=${place}"`;
    const places = ['env://GIGVAULT_PIN', 'env%3A%2F%2fGIGVAULT%5FPIN'];
    for (const file of ['adminToken: env://GIGVAULT_PIN', ...places.map(inUri)])
      expect(unknown({ GIGVAULT_PIN: 'x' }, file)).toEqual([]);
    expect(unknown({ GIGVAULT_PIN: 'x' }, inUri('env://GIGVAULT_PIN2'))).not.toEqual([]);
  });
});

it('a key’s variable', () => {
  expect(environmentName('ra.http01Port')).toBe('GIGVAULT_RA_HTTP01_PORT');
  expect(environmentName('status.publicUrl')).toBe('GIGVAULT_STATUS_PUBLIC_URL');
});
