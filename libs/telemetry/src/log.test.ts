import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { withCorrelation } from './correlation.ts';
import { lostLines } from './line-writer.ts';
import { type AdjustableLog, createLog, failureLog, type LogLevel } from './log.ts';
import { createMetrics } from './metrics.ts';

let folder: string;
let count = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gigvault-log-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

/** What the log wrote, as text and as lines. */
function written(write: (log: AdjustableLog) => void, level: LogLevel = 'debug') {
  const file = join(folder, `${++count}.log`);
  write(createLog({ service: 'ca', version: '1.2.3', level, destination: file }));
  const text = readFileSync(file, 'utf8');
  const lines = text.split('\n').filter(Boolean);
  return { text, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('a line', () => {
  it('has the fields of docs/operations/logs.md', () => {
    const { lines } = written((log) => log.info({ operation: 'start' }, 'serving'));
    expect(lines).toEqual([
      {
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        level: 'info',
        service: 'ca',
        version: '1.2.3',
        instance: String(process.pid),
        operation: 'start',
        msg: 'serving',
      },
    ]);
  });

  it('names the request that it belongs to, and who made it', () => {
    const { lines } = written((log) => {
      const correlation = { traceId: 'f'.repeat(32), requestId: 'r-1', actor: 'user:ada' };
      withCorrelation(correlation, () => log.warn({}, 'x'));
      withCorrelation(correlation, () => log.warn({ 'actor.id': 'service:ca' }, 'x'));
      log.warn({}, 'x');
    });
    expect(lines[0]).toMatchObject({
      request_id: 'r-1',
      trace_id: 'f'.repeat(32),
      'actor.id': 'user:ada',
    });
    expect(lines[1]).toMatchObject({ 'actor.id': 'service:ca' });
    expect(lines[2]).not.toHaveProperty('request_id');
  });

  it('tells of an error its type, code, text and causes', () => {
    const cause = new Error('connect ECONNREFUSED', { cause: new TypeError('inner') });
    const error = new GigvaultError('UNAVAILABLE', 'keymgr cannot be reached.', { cause });
    const { lines } = written((log) => log.error({ error }, 'failed'));
    expect(lines[0]).toMatchObject({
      'error.code': 'UNAVAILABLE',
      error: {
        type: 'GigvaultError',
        code: 'UNAVAILABLE',
        message: 'keymgr cannot be reached.',
        stack: expect.stringContaining('log.test.ts'),
        cause: { message: 'connect ECONNREFUSED', cause: { type: 'TypeError' } },
      },
    });
  });

  it('below the level is not written', () => {
    expect(written((log) => log.info({}, 'x'), 'warn').text).toBe('');
  });

  it('survives what cannot be written as JSON', () => {
    const loop: Record<string, unknown> = { big: 1n };
    loop['self'] = loop;
    const { lines } = written((log) => log.info({ loop, data: Buffer.alloc(5) }, 'x'));
    expect(lines[0]).toMatchObject({ loop: { big: '1' }, data: '<5 octets>' });
  });

  it('of a child has the child’s fields', () => {
    const { lines } = written((log) =>
      log.child({ issuerId: 'issuing', pin: 'canary' }).info({}, 'x'),
    );
    expect(lines[0]).toMatchObject({ issuerId: 'issuing', pin: '[redacted]' });
  });
});

describe('a secret (covers: T66)', () => {
  const CANARY = 'c4n4ry-1f8e2d';
  const jwt = `eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ${CANARY}.${CANARY}`;
  const pem = `-----BEGIN EC PRIVATE KEY-----\n${CANARY}\n-----END EC PRIVATE KEY-----`;
  const deep = (value: unknown) => ({ a: { b: [{ c: { d: { e: value } } }] } });

  it.each([
    ['by its name', { password: CANARY }],
    ['by its name, an object', { secret: { inner: [CANARY] } }],
    ['by its name, deep', deep({ privateKey: CANARY })],
    ['by its name, deeper than anybody looks', deep(deep(deep({ pin: CANARY })))],
    ['by its name, in a list', { users: [{ setupToken: CANARY }] }],
    [
      'by its name, spelled otherwise',
      { headers: { Authorization: CANARY, 'set-cookie': CANARY } },
    ],
    ['by its name, with a prefix', { adminToken: CANARY, client_secret: CANARY, API_KEY: CANARY }],
    ['a bearer token', { value: `Bearer ${CANARY}xxxxxxxx` }],
    ['an access token', { value: `got ${jwt}` }],
    ['an API key', { value: `gv_key_0123456789abcdef_${CANARY}` }],
    ['a private key', deep(pem)],
    ['a private key that was cut off', { value: pem.slice(0, 60) }],
    ['a URL’s password', { url: `postgres://gigvault:${CANARY}@db/x` }],
    ['an assignment', { command: `login --user x password=${CANARY} --y` }],
    ['in an error', { error: new Error(`passphrase: "${CANARY}" is wrong`) }],
    ['in an error’s property', { error: Object.assign(new Error('x'), { config: { x: CANARY } }) }],
    ['in an error’s cause', { error: new Error('x', { cause: new Error(pem) }) }],
    ['in a cause that is no error', { error: new Error('x', { cause: { token: CANARY } }) }],
    ['in an error somewhere else', { attempts: [{ failure: new Error(jwt) }] }],
  ])('does not reach the log: %s', (_how, fields) => {
    const { text } = written((log) => {
      log.error(fields, 'x');
      log.child(fields).error({}, 'x');
    });
    expect(text).not.toContain(CANARY);
    expect(text).not.toContain(CANARY.slice(0, 10));
  });

  it('does not reach the log in a message', () => {
    const { text, lines } = written((log) => log.error({}, `refused Bearer ${CANARY}xx`));
    expect(text).not.toContain(CANARY);
    expect(lines[0]?.['msg']).toBe('refused Bearer [redacted]');
  });

  it('is all that is masked', () => {
    const fields = {
      operation: 'POST /api/v1/token',
      key_id: 'ca-issuing',
      serial: '5f03',
      pinned: true,
      message: 'the token is expired; spin: 3',
      url: 'https://localhost:8443/acme/order/1',
    };
    expect(written((log) => log.info(fields, 'x')).lines[0]).toMatchObject(fields);
  });
});

describe('the level', () => {
  it('may change, for children that are there already too', () => {
    const { lines } = written((log) => {
      const child = log.child({ part: 'a' });
      for (const level of ['error', 'debug', 'warn'] as const) {
        log.setLevel(level);
        for (const one of [log, child]) {
          one.debug({ level }, 'debug');
          one.warn({ level }, 'warn');
        }
      }
    }, 'info');
    expect(lines.map(({ part, msg }) => `${part ?? ''} ${msg}`)).toEqual([
      ' debug',
      ' warn',
      'a debug',
      'a warn',
      ' warn',
      'a warn',
    ]);
  });
});

describe('a log that cannot be written', () => {
  const openLog = (destination: string | number) =>
    createLog({ service: 'ca', version: '1.2.3', level: 'info', destination });

  it('loses lines, counts them, goes on, and says so once there is space again', async () => {
    const file = join(folder, 'full.log');
    symlinkSync('/dev/full', file);
    const before = lostLines();
    const log = openLog(file);
    for (const msg of ['a', 'b', 'c']) log.info({}, msg);
    expect(lostLines() - before).toBe(3);
    expect(await createMetrics().exposition()).toContain(
      `gigvault_log_lines_lost_total ${lostLines()}`,
    );
    unlinkSync(file);
    log.info({}, 'd');
    log.info({}, 'e');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { msg: 'd' },
      { level: 'warn', msg: 'log lines were lost', lines: 3, error: { code: 'ENOSPC' } },
      { msg: 'e' },
    ]);
  });

  it('goes on when its reader is slow, and when it has gone', () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
    const log = openLog(writer);
    const before = lostLines();
    // More than a pipe holds: the second is cut off.
    for (const msg of ['a', 'b', 'c']) log.info({ long: 'x'.repeat(50_000) }, msg);
    expect(lostLines() - before).toBe(2);
    const buffer = Buffer.alloc(200_000);
    const first = buffer.toString('utf8', 0, readSync(reader, buffer));
    log.info({}, 'd');
    const lines = `${first}${buffer.toString('utf8', 0, readSync(reader, buffer))}`.split('\n');
    expect(
      lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line)),
    ).toMatchObject([
      { msg: 'a' },
      { msg: 'd' },
      { msg: 'log lines were lost', lines: 2, error: { code: 'EAGAIN' } },
    ]);
    closeSync(reader);
    log.info({}, 'e');
    expect(lostLines() - before).toBe(3);
    closeSync(writer);
  });
});

describe('what is tried again and again', () => {
  it('is logged when it begins to fail, fails otherwise, and works again', () => {
    const { lines } = written((log) => {
      const attempts = failureLog(log, 'it fails', 'it works again');
      attempts.worked();
      for (const why of ['down', 'down', 'down', 'broken'])
        attempts.failed(why === 'down' ? 'warn' : 'error', new Error(why), { producer: 'ca' });
      expect(String(attempts.failure())).toBe('Error: broken');
      attempts.worked({ producer: 'ca' });
      attempts.worked();
      expect(attempts.failure()).toBeUndefined();
    });
    expect(lines.map(({ level, msg }) => `${level}: ${msg}`)).toEqual([
      'warn: it fails',
      'error: it fails',
      'info: it works again',
    ]);
    expect(lines[0]).toMatchObject({ producer: 'ca', error: { message: 'down' } });
  });
});
