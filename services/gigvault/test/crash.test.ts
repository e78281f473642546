import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AcmeClient } from '@gigvault/testkit/acme-client';
import { checkPki, connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { MODES, type Mode, type PkiProcess } from '@gigvault/testkit/pki-process';
import { fromPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, startAcmeClient, usePki } from './use-pki.ts';

/** Milliseconds for which a client sends again what was not answered. */
const PATIENCE = 60_000;
/** Milliseconds until everything is ready again, with time to spare. */
const READY_WITHIN = 45_000;

/** Every durable step of an issuance, in the order in which one goes through them. */
const ISSUANCE = [
  'ra.authorizations',
  'enroll.order',
  'ra.challenge',
  'ra.authorization',
  'enroll.finalize',
  'ra.request',
  'ca.intent',
  'keymgr.signature',
  'ca.certificate',
  'ra.issued',
  'enroll.order-valid',
  'audit.checkpoint',
] as const;

/** Every durable step of a revocation. */
const REVOCATION = ['ca.revocation', 'crl.intent', 'crl.published'] as const;

interface Fault {
  readonly step: string;
  readonly moment: 'before' | 'after';
}

/** Steps whose `before` is not the `after` of the step before them. */
const FIRST: readonly string[] = ['ra.authorizations', 'audit.checkpoint', 'ca.revocation'];

/**
 * Split, the moment before a step and the moment after the one before it are crashes of different processes. In one
 * process they are the same crash, which is tried once.
 */
function faults(mode: Mode, steps: readonly string[]): Fault[] {
  return steps.flatMap((step): Fault[] => [
    ...(mode === 'split' || FIRST.includes(step) ? [{ step, moment: 'before' } as const] : []),
    { step, moment: 'after' },
  ]);
}

describe.each(MODES)('SIGKILL at a durable step, %s', (mode) => {
  const faultFile = join(tmpdir(), `gv-fault-${process.pid}-${mode.slice(0, 3)}`);
  const shared = usePki(mode, ...QUICK_CRL, '--faults', faultFile);
  let acme: Awaited<ReturnType<typeof startAcmeClient>>;

  beforeAll(async () => {
    acme = await startAcmeClient(shared, PATIENCE);
  });

  afterAll(() => acme?.responder.stop());

  it.each(faults(mode, ISSUANCE))(
    'issuance, $moment $step: the client gets one certificate — covers: T3, T4, T5',
    async ({ step, moment }) => {
      const name = `${moment}-${step.replace('.', '-')}.localhost`;
      const issued = crashAt(`${step}:${moment}`, () => acme.client.certificate([name]));
      const [leaf] = fromPem(await issued, 'CERTIFICATE');
      expect(await released(shared.pki, name)).toEqual([leaf]);
      expect((await checkPki(shared.pki)).findings).toEqual([]);
    },
    120_000,
  );

  it.each(faults(mode, REVOCATION))(
    'revocation, $moment $step: it is revoked in the end — covers: T55',
    async ({ step, moment }) => {
      const name = `revoked-${moment}-${step.replace('.', '-')}.localhost`;
      const [leaf] = fromPem(await acme.client.certificate([name]), 'CERTIFICATE');
      const answer = await crashAt(`${step}:${moment}`, () => revoke(acme.client, leaf as Buffer));
      // A client that sends it again hears that it is done already.
      expect([200, 'urn:ietf:params:acme:error:alreadyRevoked']).toContain(answer);
      const report = await checkPki(shared.pki);
      expect(report.findings).toEqual([]);
      expect(await revokedNames(shared.pki)).toContain(`dns:${name}`);
    },
    120_000,
  );

  /** Lets a process die at the fault while `work` runs, and waits for both: the work's end, and the process being back. */
  async function crashAt<T>(fault: string, work: () => Promise<T>): Promise<T> {
    writeFileSync(`${faultFile}.new`, fault);
    renameSync(`${faultFile}.new`, faultFile);
    const working = work();
    working.catch(() => undefined);
    if (mode === 'one process') {
      expect(await shared.pki.exited()).toBe('SIGKILL');
      await shared.pki.start();
    }
    const result = await working;
    // Some steps come after the client's answer.
    await eventually(() => expect(existsSync(faultFile)).toBe(false));
    await eventually(async () => {
      expect((await shared.http.fetch(`${shared.pki.publicUrl}/ready`)).status).toBe(200);
    }, READY_WITHIN);
    return result;
  }
});

async function revoke(client: AcmeClient, certificate: Buffer): Promise<unknown> {
  const answer = await client.revoke(certificate, 4);
  return answer.status === 200 ? 200 : answer.json<{ type: string }>().type;
}

/** The certificates for this name that left the CA. */
async function released(pki: PkiProcess, name: string): Promise<Buffer[]> {
  return query(
    pki,
    'SELECT certificate AS value FROM ca.certificate WHERE certificate IS NOT NULL AND $1 = ANY (names)',
    `dns:${name}`,
  );
}

async function revokedNames(pki: PkiProcess): Promise<string[]> {
  return query(
    pki,
    `SELECT unnest(names) AS value FROM ca.certificate WHERE status = $1`,
    'revoked',
  );
}

async function query<T>(pki: PkiProcess, sql: string, value: string): Promise<T[]> {
  const database = await connect(pki);
  try {
    return (await database.query<{ value: T }>(sql, [value])).rows.map((row) => row.value);
  } finally {
    await database.end();
  }
}
