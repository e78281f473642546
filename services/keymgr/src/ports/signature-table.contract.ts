import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { NewSignature, SignatureTable } from './signature-table.ts';

/** What every SignatureTable must do. `keyId` names a key that exists; `events` are the subjects of all events so far. */
export function describeSignatureTable(
  name: string,
  make: () => Promise<{
    tables: readonly SignatureTable[];
    keyId: string;
    events(): Promise<readonly string[]>;
  }>,
): void {
  const signature = (keyId: string, intentId: string = crypto.randomUUID()): NewSignature => ({
    intentId,
    keyId,
    purpose: 'certSign',
    caller: 'ca',
    tbsSha256: randomBytes(32),
    signature: randomBytes(70),
  });

  describe(`SignatureTable contract: ${name}`, () => {
    it('gives back the first signature of an intent, whatever comes later', async () => {
      const { tables, keyId } = await make();
      const [table] = tables;
      const first = signature(keyId);
      const { tbsSha256 } = first;
      const expected = { status: 'signed', keyId, tbsSha256, signature: first.signature };
      expect(await table!.record(first)).toMatchObject(expected);
      expect(await table!.record(signature(keyId, first.intentId))).toMatchObject(expected);
      expect(await table!.close(first.intentId, 'ca')).toMatchObject(expected);
    });

    it('keeps an intent closed', async () => {
      const { tables, keyId, events } = await make();
      const [table] = tables;
      const intentId = crypto.randomUUID();
      expect(await table!.close(intentId, 'ca')).toEqual({ status: 'closed' });
      expect(await table!.record(signature(keyId, intentId))).toEqual({ status: 'closed' });
      expect(await table!.close(intentId, 'ca')).toEqual({ status: 'closed' });
      expect((await events()).filter((subject) => subject === intentId)).toHaveLength(1);
    });

    it('covers: T1, T2. gives everybody one answer when signing, signing again and closing race', async () => {
      const { tables, keyId } = await make();
      const intents = Array.from({ length: 100 }, () => crypto.randomUUID());
      const outcomes = await Promise.all(
        intents.map((intentId, i) =>
          Promise.all([
            ...tables.map((table) => table.record(signature(keyId, intentId))),
            tables[i % tables.length]!.close(intentId, 'ca'),
            tables[0]!.record(signature(keyId, intentId)),
          ]),
        ),
      );
      for (const answers of outcomes) {
        const texts = answers.map((answer) =>
          answer.status === 'closed' ? 'closed' : answer.signature.toString('hex'),
        );
        expect(new Set(texts).size).toBe(1);
      }
    });

    it('does not let a bad item fail its neighbours', async () => {
      const { tables, keyId } = await make();
      const items = Array.from({ length: 20 }, () => signature(keyId));
      const bad = { ...signature(keyId), intentId: 'not a uuid' };
      const results = await Promise.allSettled(
        [...items.slice(0, 10), bad, ...items.slice(10)].map((item) => tables[0]!.record(item)),
      );
      expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(
        20,
      );
    });
  });
}
