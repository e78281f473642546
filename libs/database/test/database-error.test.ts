import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import { Client, type ClientConfig } from 'pg';
import { databaseError } from '../src/database-error.ts';

/** What a client says that connects and asks. */
async function failure(config: ClientConfig): Promise<unknown> {
  const client = new Client({ ...config, user: 'nobody', database: 'none' });
  return client.connect().then(
    () => client.end(),
    (error) => error,
  );
}

const codeOf = (error: unknown) => (error as { code?: string }).code;

describe('a database that cannot be reached is UNAVAILABLE (covers: T7)', () => {
  it('when its Unix socket has a full backlog', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'gigvault-backlog-'));
    const server = createServer((socket) => socket.destroy());
    const listening = Promise.withResolvers<void>();
    server.listen({ path: join(directory, '.s.PGSQL.5432'), backlog: 1 }, listening.resolve);
    await listening.promise;
    try {
      // In one turn of the event loop, in which nobody accepts.
      const asked = Array.from({ length: 10 }, () => failure({ host: directory, port: 5432 }));
      const errors = await Promise.all(asked);
      expect(errors.map(codeOf)).toContain('EAGAIN');
      for (const error of errors)
        expect(databaseError(error)).toMatchObject({ code: 'UNAVAILABLE', retryAfter: 1 });
    } finally {
      server.close();
      await rm(directory, { recursive: true });
    }
  });

  it('when its Unix socket is gone, or cannot be one', async () => {
    const gone = await failure({ host: join(tmpdir(), 'gigvault-no-such'), port: 5432 });
    const noDirectory = await failure({ host: '/dev/null', port: 5432 });
    expect([gone, noDirectory].map(codeOf)).toEqual(['ENOENT', 'ENOTDIR']);
    for (const error of [gone, noDirectory])
      expect(databaseError(error)).toMatchObject({ code: 'UNAVAILABLE', retryAfter: 1 });
  });

  it('when its name is not known', async () => {
    const error = await failure({ host: 'database.invalid', port: 5432 });
    expect(['ENOTFOUND', 'EAI_AGAIN']).toContain(codeOf(error));
    expect(databaseError(error)).toMatchObject({ code: 'UNAVAILABLE', retryAfter: 1 });
  });

  it.each([
    ['EAI_AGAIN', 'getaddrinfo'],
    ['EAI_FAIL', 'getaddrinfo'],
    ['EADDRNOTAVAIL', 'connect'],
    ['EMFILE', 'connect'],
    ['ENETUNREACH', 'connect'],
    ['ECONNABORTED', 'read'],
    ['ENETDOWN', 'write'],
  ])('when there is %s of %s, of one address or of the first of several', (code, syscall) => {
    const error = Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
    const several = Object.assign(new AggregateError([error]), { code });
    for (const said of [error, several])
      expect(databaseError(said)).toMatchObject({ code: 'UNAVAILABLE', retryAfter: 1 });
  });

  it('and nothing else is: a file that a transaction looks for', () => {
    const error = Object.assign(new Error('no such file'), { code: 'ENOENT', syscall: 'open' });
    expect(databaseError(error)).toBe(error);
    expect(databaseError(error)).not.toBeInstanceOf(GigvaultError);
  });
});
