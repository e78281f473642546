import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { eventually } from '@gigvault/testkit/eventually';
import { selfSignedCa } from '@gigvault/testkit/self-signed-ca';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { readCertificate } from '@gigvault/x509/certificate';
import { readOcspResponse } from '@gigvault/x509/ocsp-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { ocspService } from '../src/ocsp.module.ts';
import { certId, ocspRequest, readAnswer } from './ocsp-request.ts';
import { type OcspWorld, ocspWorld, startedOcspWorld } from './ocsp-world.ts';

const DAY = 86_400_000;
const TRY_LATER = 3;
const UNAUTHORIZED = 6;

let database: TestDatabase;
let pool: Pool;
let world: OcspWorld;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('ocsp', ocspService.migrations);
});
afterAll(() => database.stop());
afterEach(async () => {
  installFaultHook(undefined);
  await world.stop();
});

async function started(): Promise<void> {
  world = await startedOcspWorld(pool);
}

/** What an answer about this certificate is signed with. */
async function signer(serialNumber: string) {
  const der = ocspRequest([certId(world.ca.issuerCertificate, serialNumber)]);
  const { body } = await world.post(der);
  const { certificates } = readOcspResponse(body as Buffer);
  const { serialNumber: own, publicKey } = readCertificate(certificates[0]!);
  return { serialNumber: own, key: publicKey.spki.toString('hex') };
}

/** OCSPResponseStatus of what is said about a certificate of the public CA, and of one that is none. */
async function statuses(): Promise<number[]> {
  const { issuerCertificate } = world.ca;
  const stranger = selfSignedCa('Nobody', world.clock.now()).certificate;
  const requests = [issuerCertificate, stranger].map((ca) => ocspRequest([certId(ca, '01')]));
  return Promise.all(requests.map(async (der) => readAnswer(await world.post(der)).status));
}

describe('without a responder', () => {
  it('at a first start: tryLater, and unauthorized only once it is known which CAs are public', async () => {
    world = await ocspWorld(pool);
    world.ca.down = true;
    await world.start();
    expect(await statuses()).toEqual([TRY_LATER, TRY_LATER]);
    world.ca.down = false;
    world.keymgr.down = true;
    await eventually(async () => {
      world.clock.advance(5_000);
      expect(await statuses()).toEqual([TRY_LATER, UNAUTHORIZED]);
    });
    await expect(world.health('ocsp.signer')).rejects.toThrow('no valid OCSP responder');
    world.keymgr.down = false;
    await eventually(async () => {
      world.clock.advance(5_000);
      expect(await statuses()).toEqual([0, UNAUTHORIZED]);
    });
  });

  it('at a restart, until the table was read: tryLater — covers: T7, T19', async () => {
    await started();
    await world.stop();
    world = await world.restart();
    const owner = database.ownerPool('ocsp');
    const slow = await owner.connect();
    try {
      await slow.query('BEGIN; LOCK TABLE responder');
      await world.start();
      await eventually(async () => {
        const waiting = `SELECT 1 FROM pg_locks WHERE relation = 'responder'::regclass AND NOT granted`;
        expect((await owner.query(waiting)).rows).toHaveLength(1);
      });
      expect(await statuses()).toEqual([TRY_LATER, TRY_LATER]);
      await slow.query('COMMIT');
    } finally {
      slow.release();
      await owner.end();
    }
    await eventually(async () => expect(await statuses()).toEqual([0, UNAUTHORIZED]));
  });
});

describe('the responder certificate', () => {
  it('renews itself at half of its life', async () => {
    await started();
    const first = readCertificate(world.ca.responderCertificates[0]!);
    expect(world.ca.responderCertificates).toHaveLength(1);
    world.clock.advance(16 * DAY);
    await eventually(() => expect(world.ca.responderCertificates).toHaveLength(2));
    await eventually(async () => {
      const { rows } = await pool.query('SELECT not_after FROM responder');
      expect(Number(rows[0].not_after)).toBeGreaterThan(first.notAfter);
    });
    expect(await world.metrics.exposition()).toMatch(
      /gigvault_ocsp_signer_not_after_timestamp_seconds\{ca="issuing"\} \d+/,
    );
  });

  it('from a start with the clock 100 days ahead is replaced by the next with the right one — covers: T15', async () => {
    world = await ocspWorld(pool);
    world.clock.step(100 * DAY);
    await world.start();
    await eventually(() => world.health('ocsp.signer'));
    await world.stop();
    world.clock.step(-100 * DAY);
    world = await world.restart();
    await world.start();
    await eventually(() => world.health('ocsp.signer'));
    const { serialNumber } = world.ca.issue();
    const own = await eventually(async () => (await signer(serialNumber)).serialNumber);
    const [ahead, right] = world.ca.responderCertificates.map((der) => readCertificate(der));
    expect(own).toBe(right?.serialNumber);
    expect(right!.notBefore).toBeLessThanOrEqual(world.clock.now());
    expect(ahead!.notBefore).toBeGreaterThan(world.clock.now());
  });

  it.each(['before', 'after'] as const)(
    'a crash %s it is stored costs no second certificate',
    async (moment) => {
      world = await ocspWorld(pool);
      let crashes = 0;
      installFaultHook((step, when) => {
        if (step !== 'ocsp.responder' || when !== moment || crashes++ > 0) return;
        throw new Error('the process dies');
      });
      await world.start();
      await eventually(() => expect(crashes).toBe(1));
      await world.stop();
      world = await world.restart();
      await world.start();
      await eventually(() => world.health('ocsp.signer'));
      expect(world.ca.responderCertificates).toHaveLength(1);
    },
  );

  it('that is revoked is replaced at once, with a new key, and so is what it signed', async () => {
    await started();
    const { serialNumber } = world.ca.issue();
    const first = await signer(serialNumber);
    expect(await signer(serialNumber)).toEqual(first);
    world.ca.revoke(first.serialNumber, 1);
    const second = await eventually(async () => {
      const now = await signer(serialNumber);
      expect(now.serialNumber).not.toBe(first.serialNumber);
      return now;
    });
    expect(second.key).not.toBe(first.key);
    world.ca.revoke(second.serialNumber, 1);
    await eventually(async () =>
      expect([first.key, second.key]).not.toContain((await signer(serialNumber)).key),
    );
    const { rows } = await pool.query('SELECT key_id FROM responder');
    expect(rows).toEqual([{ key_id: 'ocsp-issuing-K3' }]);
    expect(world.ca.responderCertificates).toHaveLength(3);
  });

  it('that was revoked while the service was down is never signed with again', async () => {
    await started();
    const first = await signer(world.ca.issue().serialNumber);
    await world.stop();
    world.ca.revoke(first.serialNumber, 1);
    world = await world.restart();
    await world.start();
    await eventually(async () => {
      expect((await signer(world.ca.issue().serialNumber)).key).not.toBe(first.key);
    });
    world.clock.advance(16 * DAY);
    await eventually(() => expect(world.ca.responderCertificates).toHaveLength(3));
    const { rows } = await pool.query('SELECT key_id FROM responder');
    expect(rows).toEqual([{ key_id: 'ocsp-issuing-K2' }]);
  });
});
