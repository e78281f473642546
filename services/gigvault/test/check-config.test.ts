import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE_FLAGS, REPOSITORY } from '@gigvault/testkit/pki-process';
import { type ProgramResult, runProgram } from '@gigvault/testkit/run-program';
import { afterAll, beforeAll, expect, it } from '@jest/globals';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gigvault-check-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** `up --check-config`, of which nothing stays. */
function check(
  flags: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<ProgramResult> {
  return up(['--check-config', ...flags], variables);
}

function up(
  flags: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<ProgramResult> {
  const program = join(REPOSITORY, 'dist', 'gigvault.js');
  const env = { PATH: process.env['PATH'], HOME: folder, ...variables };
  return runProgram(process.execPath, [...NODE_FLAGS, program, 'up', ...flags], {
    cwd: folder,
    env,
  });
}

/** What is wrong, a line each. */
async function wrong(...args: Parameters<typeof check>): Promise<string[]> {
  const { code, stdout, stderr } = await check(...args);
  expect([code, stdout]).toEqual([2, '']);
  return stderr.trim().split('\n').slice(1);
}

const STRICT = [
  ...['--environment', 'production', '--single-node'],
  ...['--public-url', 'https://pki.example.com', '--status-public-url', 'http://pki.example.com'],
];
/** What the first start in production leaves to no default. */
const DECIDED = [
  '--online-root',
  ...['--ra-approvals', '1', '--keymgr-destruction-approvals', '0'],
];

it('a token’s URI is read as a start reads it', async () => {
  expect(await wrong(['--hsm', 'pkcs11:token=x?module-path=lib.so'])).toEqual([
    '  ✖ hsm   is refused: module-path is not an absolute path (--hsm)',
  ]);
});

it('variables of go-keychain count, under those of GigVault — covers: K143, K146, K147', async () => {
  const level = { KEYCHAIN_SERVER_LOG_LEVEL: 'loud' };
  expect(await wrong([], level)).toEqual([
    expect.stringMatching(/log\.level .*not "loud" \(KEYCHAIN_SERVER_LOG_LEVEL\)/),
  ]);
  expect((await check([], { ...level, GIGVAULT_LOG_LEVEL: 'warn' })).code).toBe(0);
  expect(await wrong([], { KEYCHAIN_AUTH_ENABLED: 'false' })).toEqual([
    '  ✖ KEYCHAIN_AUTH_ENABLED   must be true: nobody uses keys without saying who they are',
  ]);
});

it('one of them that means nothing is a warning, and refused in production — covers: K147', async () => {
  const variables = { KEYCHAIN_SERVER_LOGLEVEL: 'debug' };
  const told = 'KEYCHAIN_SERVER_LOGLEVEL means nothing; did you mean KEYCHAIN_SERVER_LOG_LEVEL?';
  const { code, stderr } = await check([], variables);
  expect([code, stderr]).toEqual([0, `warning: ${told}\n`]);
  expect(await wrong([...STRICT, ...DECIDED], variables)).toEqual([
    `  ✖ ${told.replace(' means', '   means')}`,
  ]);
});

it('the first start in production must be told what one person may do alone — covers: T64', async () => {
  expect(await wrong(STRICT)).toEqual([
    expect.stringMatching(
      /^ {2}✖ offlineRoot {3}is missing: --offline-root <folder> .* --online-root$/,
    ),
    expect.stringMatching(/^ {2}✖ ra\.approvals {3}is missing: /),
    expect.stringMatching(/^ {2}✖ keymgr\.destruction\.approvals {3}is missing: /),
  ]);
  expect((await check([...STRICT, ...DECIDED])).code).toBe(0);
  expect(await wrong([...STRICT, ...DECIDED, '--offline-root', folder])).toEqual([
    expect.stringMatching(/onlineRoot {3}must not stand beside offlineRoot/),
  ]);
});

it('a first start in production is not begun under a name that nothing is issued for', async () => {
  const urls = ['--public-url', 'https://localhost:18443', '--status-public-url', 'http://pki:80'];
  const flags = [...STRICT.slice(0, 3), ...urls, ...DECIDED];
  const own =
    '  ✖ publicUrl   is https://localhost:18443: localhost names exist only in the development profile.';
  const status = '  ✖ status.publicUrl   is http://pki:80: it has a single label.';
  expect(await wrong(flags)).toEqual([own, status]);
  const dataDir = join(folder, 'never');
  const { code, stderr } = await up([...flags, '--data-dir', dataDir]);
  expect([code, existsSync(dataDir), stderr.split(own)]).toEqual([
    2,
    false,
    [expect.anything(), expect.anything()],
  ]);
  const addresses = [
    '--public-url',
    'https://[2001:db8::1]',
    '--status-public-url',
    'http://192.0.2.1',
  ];
  expect((await check([...STRICT.slice(0, 3), ...addresses, ...DECIDED])).code).toBe(0);
});

it('what is begun goes on in production as it is', async () => {
  const dataDir = join(folder, 'data');
  mkdirSync(join(dataDir, 'root'), { recursive: true });
  writeFileSync(join(dataDir, 'root', 'root.crt'), '');
  expect((await check([...STRICT, '--data-dir', dataDir])).code).toBe(0);
});

it('a certificate of another CA is read as a start reads it — covers: K133', async () => {
  const certificate = ['--https-tls-certificate-file', '/nowhere.pem'];
  expect(await wrong(certificate)).toEqual(['  ✖ https.tls.privateKey   is missing']);
  const { code, stderr } = await check([...certificate, '--https-tls-private-key', 'env://KEY']);
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(
      /^error: The public listener's certificate is refused: \/nowhere\.pem: it cannot be read \(ENOENT/,
    ),
  ]);
});
