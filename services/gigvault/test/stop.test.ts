import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import { createAcmeClient } from '@gigvault/testkit/acme-client';
import { eventually } from '@gigvault/testkit/eventually';
import { startHttp01Responder } from '@gigvault/testkit/http-01-responder';
import { type HttpAnswer, httpClient } from '@gigvault/testkit/http-client';
import { processesOf } from '@gigvault/testkit/leftovers';
import { lives } from '@gigvault/testkit/lives';
import { MODES, type PkiProcess, preparePki } from '@gigvault/testkit/pki-process';
import { openRaw } from '@gigvault/testkit/raw-connection';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnUp } from './up-command.ts';
import { START_TIMEOUT } from './use-pki.ts';

const CLIENTS = 6;
/** Milliseconds for a stop in which nobody needs more, on a machine that runs other tests beside. */
const QUICK = 15_000;

describe.each(MODES)('the end of up, %s', (mode) => {
  let pki: PkiProcess;
  let fresh: string;

  beforeAll(async () => {
    pki = await preparePki(mode);
    fresh = join(pki.home, 'fresh');
  });

  afterAll(() => pki?.dispose(), START_TIMEOUT);

  // There is no process but the first yet: in split mode the same.
  if (mode === 'one process') {
    it(
      'Ctrl-C while the database is made is no error, and nothing is left',
      async () => {
        const child = spawnUp(pki, '--data-dir', fresh);
        const said = textOf(child);
        await eventually(
          () => expect(existsSync(join(fresh, 'pg', 'cluster.new'))).toBe(true),
          20_000,
          1,
        );
        // To the whole group, as a terminal does.
        process.kill(-(child.pid as number), 'SIGINT');
        expect(await once(child, 'exit')).toEqual([130, null]);
        expect(said()).toMatch(/stopped; the data stays/);
        expect(said()).not.toMatch(/error/);
        expect(processesOf(fresh, 'services and database')).toEqual([]);
        expect(existsSync(join(fresh, 'run.json'))).toBe(false);
        await pki.start('--data-dir', fresh);
        await pki.stop();
      },
      START_TIMEOUT,
    );

    it(
      'a first start that is refused after the root was made is gone on with',
      async () => {
        const late = ['--data-dir', join(pki.home, 'late')];
        const uri = 'pkcs11:token=none?module-path=/nowhere.so&pin-source=env://PATH';
        const spare = { name: 'spare', type: 'pkcs11', uri };
        const flags = Object.entries(spare).flatMap(([key, value]) => [
          `--keymgr-backends-0-${key}`,
          value,
        ]);
        const refused = await pki.tryStart(...late, ...flags);
        expect(refused).toMatchObject({ code: 9, stderr: expect.stringContaining('/nowhere.so') });
        expect(refused.stderr).toMatch(/✔ root CA/);
        await pki.start(...late);
        expect(pki.errors()).toMatch(/✔ self check/);
        await pki.stop();
      },
      START_TIMEOUT,
    );
  }

  it(
    'a second Ctrl-C ends everything at once',
    async () => {
      const child = await started();
      // What keeps the first one waiting.
      const busy = mode === 'split' ? processesOf(pki.dataDir, 'services')[0] : undefined;
      if (busy !== undefined) process.kill(busy, 'SIGSTOP');
      const exited = once(child, 'exit');
      const first = systemClock.now();
      process.kill(-(child.pid as number), 'SIGINT');
      // Until the second is not the echo of the first any more. In one process it may have ended by then.
      await eventually(() => {
        if (child.exitCode === null) expect(systemClock.now() - first).toBeGreaterThan(1_100);
      });
      if (child.exitCode === null) process.kill(-(child.pid as number), 'SIGINT');
      const [ended, signal] = await exited;
      // Node on its way out does not listen any more: then the second one ends it.
      const code = mode === 'one process' && signal === 'SIGINT' ? 130 : ended;
      expect([0, 130]).toContain(code);
      if (mode === 'split') expect(code).toBe(130);
      await eventually(() =>
        expect(processesOf(pki.dataDir, 'services and database').filter(lives)).toEqual([]),
      );
      expect(existsSync(join(pki.dataDir, 'run.json'))).toBe(false);
    },
    START_TIMEOUT,
  );

  // The first process alone writes to a terminal.
  if (mode === 'one process') {
    it(
      'nobody reading what it says is no reason to end',
      async () => {
        const child = await started();
        child.stdout?.destroy();
        child.stderr?.destroy();
        await eventually(async () =>
          expect((await fetch(`${pki.statusUrl}/ca/root.crt`)).status).toBe(200),
        );
        // Now it has something to say.
        child.kill('SIGTERM');
        expect(await once(child, 'exit')).toEqual([0, null]);
        expect(processesOf(pki.dataDir, 'services and database')).toEqual([]);

        const early = spawnUp(pki, '--data-dir', fresh);
        early.stdout?.destroy();
        early.stderr?.destroy();
        await eventually(
          async () => expect((await fetch(`${pki.statusUrl}/ca/root.crt`)).status).toBe(200),
          60_000,
        );
        early.kill('SIGTERM');
        expect(await once(early, 'exit')).toEqual([0, null]);
      },
      START_TIMEOUT,
    );
  }

  it(
    'answers what was asked on kept connections, begins nothing more, and is over soon — covers: T19',
    async () => {
      await pki.start();
      const late = await Promise.all(Array.from({ length: CLIENTS }, orderUnderWay));
      const load = await startOrders();
      await eventually(() => expect(load.answers.length).toBeGreaterThan(10 * CLIENTS));
      const logFile = join(pki.dataDir, 'logs', 'gigvault.log');
      const logged = readFileSync(logFile, 'utf8').length;
      const since = systemClock.now();
      const stopped = pki.stop();
      await eventually(() => expect(connects()).resolves.toBe(false), QUICK, 1);
      for (const answer of await Promise.all(late.map((socket) => lastAnswer(socket, '}')))) {
        expect(answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nconnection: close/i);
        expect(answer).toMatch(/\r\nretry-after: [1-9]/i);
      }
      expect(await stopped).toBe(0);
      expect(systemClock.now() - since).toBeLessThan(QUICK);
      const log = readFileSync(logFile, 'utf8').slice(logged).split('\n');
      expect(log.filter((line) => line.includes('"level":"error"'))).toEqual([]);
      expect(log.filter((line) => line.includes('process ended'))).toHaveLength(
        mode === 'split' ? SERVICE_NAMES.length + 1 : 0,
      );
      // A connection is refused, or reset when it was closed while the next request was on its way.
      for (const code of await load.ended) expect(code).toMatch(/^ECONN(REFUSED|RESET)$/);
      for (const { status, headers } of load.answers.filter((answer) => answer.status >= 400))
        expect([status, headers['retry-after']]).toEqual([503, expect.stringMatching(/^[1-9]/)]);
    },
    START_TIMEOUT,
  );

  /** Its header is there, and of its body all but the end. */
  async function orderUnderWay(): Promise<Socket> {
    const socket = openRaw({ port: pki.ports.https, tls: true });
    const header = 'host: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n';
    socket.write(`POST /acme/new-order HTTP/1.1\r\n${header}{`);
    expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 100 /);
    return socket;
  }

  async function connects(): Promise<boolean> {
    const socket = openRaw({ port: pki.ports.https, tls: false });
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }

  /** Clients that make orders, each over one connection, until one gets no answer: `ended` says why. */
  async function startOrders() {
    const responder = await startHttp01Responder(pki.ports.http01);
    const answers: HttpAnswer[] = [];
    const ca = readFileSync(pki.rootFile);
    const client = async (number: number) => {
      const { fetch, close } = httpClient(ca, { maxSockets: 1 });
      let failure: string | undefined;
      const http = {
        close,
        async fetch(...question: Parameters<typeof fetch>) {
          try {
            const answer = await fetch(...question);
            answers.push(answer);
            return answer;
          } catch (error) {
            failure = String((error as NodeJS.ErrnoException).code);
            throw error;
          }
        },
      };
      const { publicUrl } = pki;
      const acme = await createAcmeClient({ http, publicUrl, responder, patience: 0 });
      for (let i = 0; failure === undefined; i++)
        await acme.newOrder([`s${number}-${i}.localhost`]).catch(() => undefined);
      close();
      return failure;
    };
    const all = Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
    return { answers, ended: all.finally(() => responder.stop()) };
  }

  async function started(): Promise<ChildProcess> {
    const child = spawnUp(pki, '--data-dir', pki.dataDir);
    const said = textOf(child);
    await eventually(() => expect(said()).toMatch(/DEV PROFILE/), START_TIMEOUT);
    return child;
  }
});

/** What comes back for this until the connection is closed. */
async function lastAnswer(socket: Socket, request: string): Promise<string> {
  let answer = '';
  socket.on('data', (part: Buffer) => {
    answer += part.toString('latin1');
  });
  socket.write(request);
  await once(socket, 'close');
  return answer;
}

function textOf(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (part: Buffer) => {
      text += part.toString();
    });
  return () => text;
}
