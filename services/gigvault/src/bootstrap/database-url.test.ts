import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GigvaultError } from '@gigvault/errors/gigvault-error';
import { processSecrets } from '@gigvault/secrets/process-secrets';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { describe, expect, it } from '@jest/globals';
import { parseDatabaseUrl, readDatabaseUrl } from './database-url.ts';

const PLAIN = {
  host: 'db',
  port: 5432,
  user: 'u',
  password: 'p',
  name: 'gigvault',
  tls: { sslMode: undefined, sslRootCert: undefined },
};

describe('a database URL', () => {
  it.each([
    ['postgres://u:p@db', PLAIN],
    ['postgresql://u:p@db:6000/', { ...PLAIN, port: 6000 }],
    ['postgres://u@db/vault-2', { ...PLAIN, password: undefined, name: 'vault-2' }],
    ['postgres://u%40x:p%3A%2F%25@db', { ...PLAIN, user: 'u@x', password: 'p:/%' }],
    ['postgres://u:p@[::1]:5433/x', { ...PLAIN, host: '::1', port: 5433, name: 'x' }],
    ['postgres://u:p@%2Frun%2Fpostgresql/x', { ...PLAIN, host: '/run/postgresql', name: 'x' }],
    [
      'postgresql://u:p%2C@db:5433,[::1],two/x?target_session_attrs=read-write',
      {
        ...PLAIN,
        port: 5433,
        password: 'p,',
        name: 'x',
        others: [
          { host: '::1', port: 5432 },
          { host: 'two', port: 5432 },
        ],
      },
    ],
    [
      'postgres://u:p@db?sslmode=verify-full&sslrootcert=/etc/ca.pem',
      { ...PLAIN, tls: { sslMode: 'verify-full', sslRootCert: '/etc/ca.pem' } },
    ],
  ])('says where: %s', (url, address) => {
    expect(parseDatabaseUrl(url)).toEqual(address);
  });

  it.each([
    ['mysql://u:hunter2@db', 'must be as postgres://'],
    ['postgres://u:hunter2@db:port/x', 'must be as postgres://'],
    ['postgres://u:hunter2#3@db/x', 'must be as postgres://'],
    ['postgres://u:100%hunter2@db/x', 'must have each % that means itself as %25'],
    ['postgres:///x', 'must name a host'],
    ['postgres://u:hunter2@a,/x', 'must be as postgres://'],
    ['postgres://u:hunter2@a,b:port/x', 'must be as postgres://'],
    ['postgres://u:hunter2@a,b?target_session_attrs=any', 'target_session_attrs=read-write'],
    ['postgres://db/x', 'must name a user'],
    ['postgres://u:hunter2@db/postgres', "must name a database of GigVault's own, as …/gigvault"],
    [`postgres://u:hunter2@db/${'x'.repeat(57)}`, 'must name a database of at most 56 octets'],
    ['postgres://u:hunter2@db?sslmode=prefer', 'must have sslmode=disable, require, verify-ca, '],
    ['postgres://u:hunter2@db?ssl=true', 'must have no parameters but sslmode, sslrootcert'],
    ['postgres://u:hunter2@db?sslmode=require&sslmode=disable', 'once each, not "sslmode"'],
  ])('that is wrong says so, and keeps its secret: %s', (url, why) => {
    const [problem] = problemsOf(() => parseDatabaseUrl(url));
    expect(problem?.pointer).toBe('database.url');
    expect(problem?.message).toContain(why);
    expect(problem?.message).not.toContain('hunter2');
  });

  it('may lie in a file', async () => {
    const secrets = processSecrets({
      secrets: secretsConfig.parse({}),
      environment: 'production',
    });
    const file = join(tmpdir(), `gv-url-${process.pid}`);
    writeFileSync(file, 'postgres://u:p@db\n', { mode: 0o600 });
    expect(await readDatabaseUrl(`file://${file}`, secrets)).toEqual(PLAIN);
    rmSync(file);
    await expect(readDatabaseUrl('env://GIGVAULT_NOTHING', secrets)).rejects.toThrow(
      'is not there',
    );
  });
});

function problemsOf(run: () => unknown) {
  try {
    run();
  } catch (error) {
    return (error as GigvaultError).problems;
  }
  return [];
}
