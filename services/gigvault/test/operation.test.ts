import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '@gigvault/rpc/free-ports';
import { connect as connectDatabase } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { processesOf } from '@gigvault/testkit/leftovers';
import { MODES, startPki } from '@gigvault/testkit/pki-process';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { systemClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { PORT_ORDER } from '../src/composition/split-ports.ts';
import { grpcCall, identitiesOf } from './grpc-call.ts';
import { QUICK_CRL, START_TIMEOUT, startAcmeClient, usePki } from './use-pki.ts';

const PERMISSION_DENIED = 7;

describe.each(MODES)('operating it, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  /** Of a certificate that was issued before the PKI was stopped for the first time. */
  let chain: string;

  it('a second up says that it runs, and where', async () => {
    const { pki } = shared;
    const { code, stdout } = await pki.tryStart();
    expect(code).toBe(0);
    expect(stdout).toMatch(/runs already \(pid \d+\)/);
    expect(stdout).toContain(pki.publicUrl);
  });

  it(
    'a port that is taken after it was looked at is told with the same advice',
    async () => {
      const { pki } = shared;
      const fresh = join(pki.home, 'taken');
      const [port = 0, ...free] = await freePorts(16, { first: 5_000, block: 20, blocks: 100 });
      const others = ['--https-port', '--http-port'].flatMap((flag, i) => [
        flag,
        // Behind those that split mode takes from the first one on.
        `${free.at(-1 - i)}`,
      ]);
      const grpc = ['--grpc-port', '0', '--grpc-address', ':0'];
      const flags = ['--data-dir', fresh, ...others, ...grpc];
      const refused = pki.tryStart(...flags, '--metrics-port', `${port}`);
      const making = join(fresh, 'pg', 'cluster.new');
      await eventually(() => expect(existsSync(making)).toBe(true), 20_000, 1);
      const other = createServer().listen(port, '127.0.0.1');
      try {
        const { code, stderr } = await refused;
        expect([code, stderr]).toEqual([6, expect.stringMatching(/--metrics-port.*GV-CONFLICT/)]);
        const whose = mode === 'split' ? ' (ca)' : '';
        expect(stderr).toContain(`Port ${port}${whose} is in use by another program. End it, or `);
      } finally {
        other.close();
      }
    },
    START_TIMEOUT,
  );

  it('a port in use is named, before anything is made', async () => {
    const { pki } = shared;
    const fresh = join(pki.home, 'fresh');
    const elsewhere = ['--data-dir', fresh];
    const [https, keyApi, grpc] = (await freePorts(13, {
      first: 5_000,
      block: 20,
      blocks: 100,
    })) as [number, number, number];
    const refused = async (...flags: string[]) => {
      const { code, stderr } = await pki.tryStart(...elsewhere, ...flags);
      expect(code).toBe(6);
      expect(existsSync(fresh)).toBe(false);
      return stderr;
    };
    expect(await refused()).toMatch(`Port ${pki.ports.https} is in use`);
    expect(await refused('--https-port', `${https}`)).toMatch(
      `Port ${pki.ports.keyApi} is in use by another program. End it, or choose another port with --grpc-address.`,
    );
    const httpsFree = ['--https-port', `${https}`, '--grpc-address', `:${keyApi}`];
    const grpcTaken = mode === 'split' ? `${pki.ports.grpc} (ca)` : `${pki.ports.grpc}`;
    expect(await refused(...httpsFree)).toMatch(`Port ${grpcTaken} is in use`);
    const grpcFree = ['--grpc-port', `${grpc}`];
    expect(await refused(...httpsFree, ...grpcFree)).toMatch(`Port ${pki.ports.http} is in use`);
  });

  // It is read before there is any process but the first: in split mode the same.
  if (mode === 'one process') {
    it('the configuration is checked without a start', async () => {
      const { pki } = shared;
      const fine = await pki.tryStart('--check-config');
      expect([fine.code, fine.stdout]).toEqual([0, expect.stringMatching(/fine/)]);
      const unknown = await pki.tryStart('--htps-port', '1');
      expect(unknown.code).toBe(2);
      expect(unknown.stderr).toMatch(/Did you mean --https-port\?/);
      const wrong = await pki.tryStart('--check-config', '--https-port', 'none');
      expect(wrong.code).toBe(2);
      expect(wrong.stderr).toMatch(/https\.port/);
      const both = await pki.tryStart('--check-config', '--ephemeral');
      expect([both.code, both.stderr]).toEqual([
        2,
        expect.stringMatching(/dataDir.*not with --ephemeral/s),
      ]);
    });
  }

  it('leaves the database alone while nobody asks for anything', async () => {
    const database = await connectDatabase(shared.pki);
    try {
      const count = async () => {
        const { rows } = await database.query<{ n: string }>(
          "SELECT xact_commit AS n FROM pg_stat_database WHERE datname = 'gigvault'",
        );
        return Number(rows[0]?.n);
      };
      const [before, began] = [await count(), systemClock.now()];
      const LONG = 5_000;
      await eventually(() => expect(systemClock.now() - began).toBeGreaterThan(LONG), 2 * LONG);
      const seconds = (systemClock.now() - began) / 1_000;
      // Some 20 a second are polls. A worker that runs round and round makes hundreds.
      expect(((await count()) - before) / seconds).toBeLessThan(60);
    } finally {
      await database.end();
    }
  });

  // As above.
  if (mode === 'one process') {
    it('the strict profile refuses another http-01 port', async () => {
      const strict = ['--environment', 'production', '--public-url', 'https://pki.example.com'];
      for (const more of [[], ['--check-config']]) {
        const { code, stderr } = await shared.pki.tryStart(...strict, ...more);
        expect(code).toBe(2);
        expect(stderr).toMatch(/http01Port can be set in the development environment only/);
      }
    });
  }

  it('a real peer may call what is its own, and nothing else — covers: T61', async () => {
    const { dataDir, ports } = shared.pki;
    const as = identitiesOf(dataDir);
    const addresses = addressesOf(dataDir);
    const ca = addresses?.['ca'] ?? `localhost:${ports.grpc}`;
    const call = (method: string, tls = as('gigvault')) =>
      grpcCall(ca, `gigvault.ca.v1.${method}`, tls);
    expect(await call('IssuerService/ListIssuers')).toMatchObject({ status: 0 });
    expect(await call('IssuanceService/IssueCertificate')).toMatchObject({
      status: PERMISSION_DENIED,
    });
    if (addresses) {
      // Another service's identity, straight at the CA and at the keys.
      expect(await call('IssuanceService/IssueCertificate', as('policy'))).toMatchObject({
        status: PERMISSION_DENIED,
      });
      const sign = 'gigvault.keymgr.v1.KeySigningService/Sign';
      expect(await grpcCall(addresses['keymgr'] as string, sign, as('ra'))).toMatchObject({
        status: PERMISSION_DENIED,
      });
    }
    const { cert: _cert, key: _key, ...nobody } = as('gigvault');
    await expect(call('IssuerService/ListIssuers', nobody as never)).rejects.toThrow();
    const foreign = createTestIdentities().identity('ra').current();
    const stranger = {
      ...as('gigvault'),
      cert: Buffer.from(foreign.certificate),
      key: Buffer.from(foreign.privateKey),
    };
    await expect(call('IssuerService/ListIssuers', stranger)).rejects.toThrow();
  });

  it(
    'SIGTERM drains and ends with 0 — covers: T19',
    async () => {
      const { pki } = shared;
      const { client, responder } = await startAcmeClient(shared);
      try {
        chain = await client.certificate(['stays.localhost']);
        const inFlight = Array.from({ length: 8 }, (_, i) => client.newOrder([`f${i}.localhost`]));
        const answers = Promise.allSettled(inFlight);
        expect(await pki.stop()).toBe(0);
        expect(pki.errors()).toMatch(/stopped; the data stays/);
        // An answer, 503, or none at all; never another failure of the server's.
        for (const answer of await answers)
          if (answer.status === 'rejected')
            expect(String(answer.reason)).not.toMatch(/^Error: 50[0124-9]/);
        expect(processesOf(pki.dataDir, 'services and database')).toEqual([]);
        expect(existsSync(join(pki.dataDir, 'run.json'))).toBe(false);
      } finally {
        await responder.stop();
      }
    },
    START_TIMEOUT,
  );

  it(
    'a stop that is asked for during the start leaves nothing behind; the next one serves the same CA',
    async () => {
      const { pki } = shared;
      await pki.stop();
      const root = readFileSync(pki.rootFile, 'utf8');
      const started = pki.start().catch((error: unknown) => error);
      await eventually(() => expect(pki.errors()).toMatch(/✔ database/));
      expect(await pki.stop()).toBe(0);
      expect(pki.errors()).toMatch(/✔ stopped; the data stays/);
      // Whether it came to its closing table: it stops between two steps, or after the last one.
      await started;
      expect(processesOf(pki.dataDir, 'services and database')).toEqual([]);
      await pki.start();
      expect(readFileSync(pki.rootFile, 'utf8')).toBe(root);
      await stillGood(chain);
    },
    START_TIMEOUT,
  );

  // In split mode the supervisor alone is killed, below, and everything in faults/restarts.test.ts.
  if (mode === 'one process') {
    it(
      'starts after a SIGKILL of everything but the database',
      async () => {
        const { pki } = shared;
        const { client, responder } = await startAcmeClient(shared);
        const survivor = await client.certificate(['survives.localhost']);
        await responder.stop();
        await pki.kill();
        expect(processesOf(pki.dataDir, 'services and database')).toHaveLength(1);
        await pki.start();
        await stillGood(survivor);
      },
      START_TIMEOUT,
    );
  }

  if (mode === 'split')
    it('split only: the closing table says where each service is, counted from --grpc-port', async () => {
      const { output, ports, dataDir } = shared.pki;
      const lines = [...output().matchAll(/^ {15}([a-z]+) +(\d+) +(\d+) +(\d+)$/gm)];
      expect(lines.map(([, name]) => name)).toEqual([...PORT_ORDER]);
      expect(output()).toMatch(
        new RegExp(`^ {15}edge +https ${ports.https}, http ${ports.http}, metrics \\d+$`, 'm'),
      );
      const { services } = JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as {
        services: { service: string }[];
      };
      expect(services.map(({ service }) => service)).toEqual([...PORT_ORDER, 'edge']);
      const { https, http, keyApi } = ports;
      const metrics = expect.any(Number);
      expect(services.at(-1)).toEqual({ service: 'edge', https, http, keyApi, metrics });
      expect(lines.map(([, , grpc]) => Number(grpc))).toEqual(
        PORT_ORDER.map((_, i) => ports.grpc + i),
      );
      for (const [, , ...listeners] of lines)
        for (const port of listeners) await expect(accepts(Number(port))).resolves.toBe(true);
    });

  if (mode === 'split')
    it(
      'split only: the services end by themselves when their supervisor is gone',
      async () => {
        const { pki } = shared;
        const { pid } = JSON.parse(readFileSync(join(pki.dataDir, 'run.json'), 'utf8')) as {
          pid: number;
        };
        expect(processesOf(pki.dataDir, 'services')).toHaveLength(11);
        process.kill(pid, 'SIGKILL');
        await pki.exited();
        await eventually(() => expect(processesOf(pki.dataDir, 'services')).toEqual([]));
        await pki.start();
        await stillGood(chain);
      },
      START_TIMEOUT,
    );

  async function stillGood(chain: string): Promise<void> {
    const serial = new X509Certificate(chain).serialNumber.toLowerCase();
    const { code, stdout } = await shared.pki.cli('cert', 'get', serial, '-o', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'valid' });
  }
});

// Its files go once everything has stopped, and that nothing runs then is seen above in both modes.
describe('--ephemeral', () => {
  it(
    'leaves nothing behind',
    async () => {
      const pki = await startPki('one process', '--ephemeral');
      try {
        const dataDir = /^ {2}Data +(\S+)$/m.exec(pki.output())?.[1] as string;
        expect(dataDir).not.toBe(pki.dataDir);
        expect(existsSync(join(dataDir, 'pg'))).toBe(true);
        const known = join(pki.home, 'config', 'gigvault');
        for (const command of [['whoami'], ['audit', 'verify']])
          expect((await pki.cli(...command)).code).toBe(0);
        expect(readdirSync(join(known, 'contexts'))).toHaveLength(1);
        expect(await pki.stop()).toBe(0);
        expect(readdirSync(join(known, 'contexts'))).toEqual([]);
        expect(JSON.parse(readFileSync(join(known, 'audit-logs.json'), 'utf8'))).toEqual([]);
        expect(existsSync(dataDir)).toBe(false);
        expect(existsSync(pki.dataDir)).toBe(false);
        expect(processesOf(dataDir, 'services and database')).toEqual([]);
      } finally {
        await pki.dispose();
      }
    },
    START_TIMEOUT,
  );
});

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.once('error', () => resolve(false)).once('connect', () => socket.destroy());
  });
}

/** Where each service listens in split mode. */
function addressesOf(dataDir: string): Record<string, string> | undefined {
  const file = join(dataDir, 'services', 'ra.yaml');
  if (!existsSync(file)) return undefined;
  return (parse(readFileSync(file, 'utf8')) as { addresses: Record<string, string> }).addresses;
}
