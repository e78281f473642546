import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { eventually } from '@gigvault/testkit/eventually';
import { selfSignedCa } from '@gigvault/testkit/self-signed-ca';
import { readCertificate } from '@gigvault/x509/certificate';
import { readOcspResponse } from '@gigvault/x509/ocsp-client';
import { describe, expect, it } from '@jest/globals';
import { certId, ocspRequest, readAnswer } from './ocsp-request.ts';
import { ocspWorld } from './ocsp-world.ts';
import { useOcsp } from './use-ocsp.ts';

const DAY = 86_400_000;
const TRY_LATER = 3;
const UNAUTHORIZED = 6;

const ocsp = useOcsp();

/** What an answer about this certificate is signed with. */
async function signer(serialNumber: string) {
  const der = ocspRequest([certId(ocsp.world.ca.issuerCertificate, serialNumber)]);
  const { body } = await ocsp.world.post(der);
  const { certificates } = readOcspResponse(body as Buffer);
  const { serialNumber: own, publicKey } = readCertificate(certificates[0]!);
  return { serialNumber: own, key: publicKey.spki.toString('hex') };
}

/** OCSPResponseStatus of what is said about a certificate of the public CA, and of one that is none. */
async function statuses(): Promise<number[]> {
  const { issuerCertificate } = ocsp.world.ca;
  const stranger = selfSignedCa('Nobody', ocsp.world.clock.now()).certificate;
  const requests = [issuerCertificate, stranger].map((ca) => ocspRequest([certId(ca, '01')]));
  return Promise.all(requests.map(async (der) => readAnswer(await ocsp.world.post(der)).status));
}

describe('without a responder', () => {
  it('at a first start: tryLater, and unauthorized only once it is known which CAs are public', async () => {
    ocsp.world = await ocspWorld(ocsp.pool);
    ocsp.world.ca.down = true;
    await ocsp.world.start();
    expect(await statuses()).toEqual([TRY_LATER, TRY_LATER]);
    ocsp.world.ca.down = false;
    ocsp.world.keymgr.down = true;
    await eventually(async () => {
      ocsp.world.clock.advance(5_000);
      expect(await statuses()).toEqual([TRY_LATER, UNAUTHORIZED]);
    });
    await expect(ocsp.world.health('ocsp.signer')).rejects.toThrow('no valid OCSP responder');
    ocsp.world.keymgr.down = false;
    await eventually(async () => {
      ocsp.world.clock.advance(5_000);
      expect(await statuses()).toEqual([0, UNAUTHORIZED]);
    });
  });

  it('at a restart, until the table was read: tryLater — covers: T7, T19', async () => {
    await ocsp.started();
    await ocsp.world.stop();
    ocsp.world = await ocsp.world.restart();
    const owner = ocsp.database.ownerPool('ocsp');
    const slow = await owner.connect();
    try {
      await slow.query('BEGIN; LOCK TABLE responder');
      await ocsp.world.start();
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
    await ocsp.started();
    const first = readCertificate(ocsp.world.ca.responderCertificates[0]!);
    expect(ocsp.world.ca.responderCertificates).toHaveLength(1);
    ocsp.world.clock.advance(16 * DAY);
    await eventually(() => expect(ocsp.world.ca.responderCertificates).toHaveLength(2));
    await eventually(async () => {
      const { rows } = await ocsp.pool.query('SELECT not_after FROM responder');
      expect(Number(rows[0].not_after)).toBeGreaterThan(first.notAfter);
    });
    expect(await ocsp.world.metrics.exposition()).toMatch(
      /gigvault_ocsp_signer_not_after_timestamp_seconds\{ca="issuing"\} \d+/,
    );
  });

  it('from a start with the clock 100 days ahead is replaced by the next with the right one — covers: T15', async () => {
    ocsp.world = await ocspWorld(ocsp.pool);
    ocsp.world.clock.step(100 * DAY);
    await ocsp.world.start();
    await eventually(() => ocsp.world.health('ocsp.signer'));
    await ocsp.world.stop();
    ocsp.world.clock.step(-100 * DAY);
    ocsp.world = await ocsp.world.restart();
    await ocsp.world.start();
    await eventually(() => ocsp.world.health('ocsp.signer'));
    const { serialNumber } = ocsp.world.ca.issue();
    const own = await eventually(async () => (await signer(serialNumber)).serialNumber);
    const [ahead, right] = ocsp.world.ca.responderCertificates.map((der) => readCertificate(der));
    expect(own).toBe(right?.serialNumber);
    expect(right!.notBefore).toBeLessThanOrEqual(ocsp.world.clock.now());
    expect(ahead!.notBefore).toBeGreaterThan(ocsp.world.clock.now());
  });

  it.each(['before', 'after'] as const)(
    'a crash %s it is stored costs no second certificate',
    async (moment) => {
      ocsp.world = await ocspWorld(ocsp.pool);
      let crashes = 0;
      installFaultHook((step, when) => {
        if (step !== 'ocsp.responder' || when !== moment || crashes++ > 0) return;
        throw new Error('the process dies');
      });
      await ocsp.world.start();
      await eventually(() => expect(crashes).toBe(1));
      await ocsp.world.stop();
      ocsp.world = await ocsp.world.restart();
      await ocsp.world.start();
      await eventually(() => ocsp.world.health('ocsp.signer'));
      expect(ocsp.world.ca.responderCertificates).toHaveLength(1);
    },
  );

  it('that is revoked is replaced at once, with a new key, and so is what it signed', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue();
    const first = await signer(serialNumber);
    expect(await signer(serialNumber)).toEqual(first);
    ocsp.world.ca.revoke(first.serialNumber, 1);
    const second = await eventually(async () => {
      const now = await signer(serialNumber);
      expect(now.serialNumber).not.toBe(first.serialNumber);
      return now;
    });
    expect(second.key).not.toBe(first.key);
    ocsp.world.ca.revoke(second.serialNumber, 1);
    await eventually(async () =>
      expect([first.key, second.key]).not.toContain((await signer(serialNumber)).key),
    );
    const { rows } = await ocsp.pool.query('SELECT key_id FROM responder');
    expect(rows).toEqual([{ key_id: 'ocsp-issuing-K3' }]);
    expect(ocsp.world.ca.responderCertificates).toHaveLength(3);
  });

  it('of a new key of the CA is there before that issues, and confirmed — covers: G24', async () => {
    ocsp.world = await ocspWorld(ocsp.pool);
    ocsp.world.ca.state = 'prepared';
    ocsp.world.keymgr.down = true;
    await ocsp.world.start();
    await eventually(async () => {
      ocsp.world.clock.advance(5_000);
      expect(await statuses()).toEqual([TRY_LATER, UNAUTHORIZED]);
    });
    expect(ocsp.world.ca.confirmed).toEqual([]);
    ocsp.world.keymgr.down = false;
    await eventually(() => {
      ocsp.world.clock.advance(5_000);
      expect(ocsp.world.ca.confirmed).toContain('issuing');
    });
    expect(await statuses()).toEqual([0, UNAUTHORIZED]);
  });

  it.each(['before', 'after'] as const)(
    'of a key that has retired goes, also when the process dies %s that',
    async (moment) => {
      await ocsp.started();
      let crashes = 0;
      installFaultHook((step, when) => {
        if (step !== 'ocsp.retired' || when !== moment || crashes++ > 0) return;
        throw new Error('the process dies');
      });
      ocsp.world.ca.state = 'superseded';
      ocsp.world.ca.events.append('issuer.switched', 'issuing-g2', {});
      expect(await statuses()).toEqual([0, UNAUTHORIZED]);
      ocsp.world.ca.state = 'retired';
      ocsp.world.ca.events.append('issuer.retired', 'issuing', {});
      await eventually(() => expect(crashes).toBe(1));
      await ocsp.world.stop();
      ocsp.world = await ocsp.world.restart();
      await ocsp.world.start();
      await eventually(async () => expect(await statuses()).toEqual([UNAUTHORIZED, UNAUTHORIZED]));
      expect((await ocsp.pool.query('SELECT FROM responder')).rowCount).toBe(0);
      await ocsp.world.health('ocsp.renewal');
    },
  );

  it('that was revoked while the service was down is never signed with again', async () => {
    await ocsp.started();
    const first = await signer(ocsp.world.ca.issue().serialNumber);
    await ocsp.world.stop();
    ocsp.world.ca.revoke(first.serialNumber, 1);
    ocsp.world = await ocsp.world.restart();
    await ocsp.world.start();
    await eventually(async () => {
      expect((await signer(ocsp.world.ca.issue().serialNumber)).key).not.toBe(first.key);
    });
    ocsp.world.clock.advance(16 * DAY);
    await eventually(() => expect(ocsp.world.ca.responderCertificates).toHaveLength(3));
    const { rows } = await ocsp.pool.query('SELECT key_id FROM responder');
    expect(rows).toEqual([{ key_id: 'ocsp-issuing-K2' }]);
  });
});
