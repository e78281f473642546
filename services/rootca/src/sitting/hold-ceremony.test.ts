import { hash } from 'node:crypto';
import { produced } from '@gigvault/testkit/produced';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { describe, expect, it } from '@jest/globals';
import { clock, newKey, request } from '../../test/ceremony-fixture.ts';
import { Died, type MemoryFiles, memoryFiles } from '../../test/memory-files.ts';
import {
  BUNDLE,
  custody,
  ORDER,
  plan,
  QUIET,
  REHEARSAL,
  requests,
  Sitting,
  verifyMemory,
} from '../../test/memory-sitting.ts';
import { type Script, scriptedOperator } from '../../test/scripted-operator.ts';
import type { Check } from '../ceremony/check.ts';
import { TRIES } from '../custody/collect-shares.ts';
import { type CustodyRecord, recordOf } from '../custody/custody-record.ts';
import { decodeShare, encodeShare } from '../custody/share.ts';
import { newSplitSecret } from '../custody/split-secret.ts';
import type { CeremonyDeps, CeremonyOrder } from './ceremony-order.ts';
import { giveShares } from './give-shares.ts';
import type { MadeRoot } from './make-root.ts';
import { openLedger } from './progress.ts';
import { rehearsalPlan } from './rehearsal.ts';

const problems = (checks: readonly Check[]) =>
  checks.flatMap(({ what, problem }) => (problem === undefined ? [] : [`${what} ${problem}`]));

describe('a key ceremony', () => {
  it('ends with a bundle that a stranger believes, and nothing secret anywhere — covers: T64, T66', async () => {
    const sitting = new Sitting();
    const written: string[] = [];
    const hear = () => void written.push(...sitting.files.values(), ...sitting.bundle.values());
    expect(problems(await sitting.hold({ hear }))).toEqual([]);
    for (const [name, label, kind] of [
      ['root.crt', 'CERTIFICATE', 'certificate'],
      ['issuing.crt', 'CERTIFICATE', 'certificate'],
      ['services.crt', 'CERTIFICATE', 'certificate'],
      ['root.crl', 'X509 CRL', 'crl'],
    ] as const)
      produced(kind, fromPem(sitting.bundle.get(name) as string, label)[0] as Buffer);

    expect([...sitting.bundle.keys()].sort()).toEqual(BUNDLE);
    expect([...sitting.files.keys()].sort()).toEqual(
      [...BUNDLE, 'custody.json', 'root.key'].sort(),
    );
    expect(sitting.steps).toEqual([
      'confirmed the plan',
      'looked at the room',
      'made the root key',
      'signed the root certificate',
      ...custody.holders.map((name, i) => `share ${i + 1} of 3 read back by ${name}`),
      'locked the root key under the shares',
      'read the request of the issuing CA',
      'signed the issuing CA',
      'read the request of the services CA',
      'signed the services CA',
      'issued the root CRL',
    ]);
    expect(sitting.record.ceremony).toMatchObject({
      isRehearsal: false,
      custody: { threshold: 2 },
    });
    // Every version of every file that there ever was, and all that was said.
    const everywhere = [...written, ...sitting.operator.said].join('\n');
    for (const text of sitting.paper.values()) {
      const { octets } = decodeShare(text);
      const words = encodeShare(decodeShare(text)).join(' ');
      for (const form of [
        words,
        text.trim(),
        hexOf(octets),
        Buffer.from(octets).toString('base64'),
      ])
        expect(everywhere).not.toContain(form);
    }
    expect(everywhere).not.toMatch(/BEGIN (EC )?PRIVATE KEY/);
  });

  it('prints what fits on a narrow screen and on paper, with a line to sign for everybody', async () => {
    const sitting = new Sitting();
    const holders = Array.from({ length: 16 }, (_, i) => `${i} ${'Long Name '.repeat(3)}And Word`);
    const large = { threshold: 2, holders };
    sitting.facts = {
      ...QUIET,
      networkUp: ['eth0'],
      swap: ['/dev/mapper/a-rather-long-name-of-a-device'],
    };
    const lost: Script = ({ id }) => (id === 'share.4' ? 'zoo' : undefined);
    const order = { ...ORDER, plan: { ...plan, custody: large }, custody: large };
    const sizes: string[] = [];
    await expect(sitting.hold({ order, script: lost })).rejects.toThrow('not read back');
    sizes.push(...sitting.operator.said, ...sitting.operator.whispered);
    await sitting.hold({ order });
    const record = sitting.bundle.get('record.txt') as string;
    const paper = [...sitting.paper.values()];
    for (const text of [
      ...sizes,
      record,
      ...paper,
      ...sitting.operator.said,
      ...sitting.operator.whispered,
    ])
      for (const line of text.split('\n')) expect([...line].length).toBeLessThan(80);
    for (const name of holders) expect(record).toMatch(new RegExp(`_ +${name}$`, 'm'));
    expect(record).toContain(sitting.record.planSha256);
  });

  it('shows one share at a time, and goes on once it was read back', async () => {
    const sitting = new Sitting();
    const wrong = ['qqqqqqqq', '', undefined];
    const script: Script = ({ id }, paper) => {
      if (id === 'share.2') return wrong.shift();
      return id === 'share.3' &&
        !sitting.operator.whispered.some((text) => text.includes('share 2, this'))
        ? paper.get('share.2')
        : undefined;
    };
    await sitting.hold({ script });
    const shares = sitting.operator.asked.filter((id) => id.includes('share'));
    expect(shares).toEqual([
      ...['show share.1', 'share.1'],
      ...['show share.2', 'share.2', 'share.2', 'show share.2', 'share.2'],
      ...['show share.3', 'share.3', 'share.3'],
    ]);
    const whispered = sitting.operator.whispered.join();
    expect(whispered).toContain('✘ Word 1 is not in the list. It is "qqqqqqqq"\n');
    expect(whispered).toContain('✘ That is share 2, this is share 3.');
  });

  it('shows a share again as often as its holder asks: wrong words alone are counted', async () => {
    const sitting = new Sitting();
    const answers = [...Array<string>(TRIES).fill(''), ...Array<string>(TRIES - 1).fill('zoo')];
    await sitting.hold({ script: ({ id }) => (id === 'share.2' ? answers.shift() : undefined) });
    expect(sitting.operator.asked.filter((id) => id === 'show share.2')).toHaveLength(TRIES + 1);
    expect(sitting.operator.asked.filter((id) => id === 'share.2')).toHaveLength(2 * TRIES);
  });

  it('stops at a share that nobody can read back, and goes on there with another process', async () => {
    const sitting = new Sitting();
    const lost: Script = ({ id }) => (id === 'share.3' ? 'zoo' : undefined);
    await expect(sitting.hold({ script: lost })).rejects.toThrow(
      'Share 3 of 3, for Edsger, was not read back',
    );
    expect(sitting.bundle.size).toBe(0);
    const before = sitting.files.get('root.crt');
    expect(problems(await sitting.hold())).toEqual([]);
    expect(sitting.operator.asked.filter((id) => id.includes('share'))).toEqual([
      ...['held-share.1', 'held-share.2', 'show share.3', 'share.3'],
    ]);
    expect(sitting.bundle.get('root.crt')).toBe(before);
  });

  /** What is said and asked when these shares are given out; nothing but a refusal is expected. */
  async function refusedShares(made: MadeRoot, record: CustodyRecord): Promise<void> {
    const files = memoryFiles();
    const identity = { planSha256: '', isRehearsal: false, keptIn: '', agreed: '' };
    const ledger = openLedger(files, identity, clock);
    await ledger.save({ custody: record });
    const operator = scriptedOperator();
    const deps = { operator, files, clock } as Partial<CeremonyDeps> as CeremonyDeps;
    await expect(giveShares(ORDER, deps, ledger, made)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect([operator.asked, operator.said]).toEqual([[], []]);
  }

  it('shows nobody a share of a set that does not open the key', async () => {
    const { secret, shares, record } = await newSplitSecret(custody, false);
    await refusedShares({ secret: Buffer.from(secret).fill(0, 16), shares }, record);
  });

  it.each([1, 2, 3, 4, 5])(
    'shows nobody a share when share %i of five was made wrong',
    async (index) => {
      const five = { threshold: 2, holders: ['Ada', 'Grace', 'Edsger', 'Alan', 'Barbara'] };
      const { secret, shares } = await newSplitSecret(five, false);
      const octets = shares[index - 1]?.octets as Uint8Array;
      octets[7] = (octets[7] as number) ^ 1;
      await refusedShares({ secret, shares }, recordOf(five, shares));
    },
  );

  it('gives up a root that too few can open, and says so in the transcript', async () => {
    const sitting = new Sitting();
    const lost: Script = ({ id }) => (id === 'share.2' ? 'zoo' : undefined);
    await expect(sitting.hold({ script: lost })).rejects.toThrow('not read back');
    const [before, paper] = [sitting.files.get('root.crt'), sitting.paper.get('share.1') as string];
    expect(problems(await sitting.hold())).toEqual([]);
    expect(sitting.bundle.get('root.crt')).not.toBe(before);
    expect(sitting.steps).toContain('gave up the root key: 1 of 3 shares were out');
    expect(sitting.record.ceremony?.custody.setId).not.toBe(decodeShare(paper).setId);
  });

  it.each<readonly [string, Script, string]>([
    [
      'the plan is not what was agreed on',
      ({ id }) => (id === 'plan' ? 'no' : undefined),
      'did not say yes',
    ],
    ['the clock is wrong', ({ id }) => (id === 'clock' ? 'no' : undefined), 'did not say yes'],
    [
      'there is a network',
      ({ id }) => (id === 'accept.network' ? '' : undefined),
      'this machine has a network',
    ],
  ])('makes nothing when %s', async (_what, script, message) => {
    const sitting = new Sitting();
    sitting.facts = { ...QUIET, networkUp: ['eth0'] };
    await expect(sitting.hold({ script })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    });
    expect([...sitting.files.keys()]).toEqual([]);
  });

  it('tells strangers of a room that was not as it should be', async () => {
    const sitting = new Sitting();
    sitting.facts = { ...QUIET, entropyBits: 100, networkUp: ['eth0'], swap: ['/dev/sda2'] };
    const script: Script = ({ id }) => (id.startsWith('accept.') ? `because of ${id}` : undefined);
    const notes = (await sitting.hold({ script })).flatMap(({ note }) => note ?? []);
    expect(notes).toEqual(
      expect.arrayContaining([
        '100 bits. Accepted: because of accept.entropy',
        'eth0. Accepted: because of accept.network',
        '/dev/sda2. Accepted: because of accept.swap',
      ]),
    );
  });

  it('asks for no share before it is sure that it can sign', async () => {
    const foreign = async () => requests.services;
    const later = async () => toPem('CERTIFICATE REQUEST', request('issuing', newKey(), 2));
    const short = { ...plan, root: { ...plan.root, validityYears: 5 } };
    for (const [order, message] of [
      [{ ...ORDER, request: foreign }, 'The request is for'],
      [{ ...ORDER, request: later }, 'The request is for a later key of the issuing CA'],
      [{ ...ORDER, plan: short }, 'The plan’s issuing CA would outlive its root.'],
    ] as const) {
      const sitting = new Sitting();
      await expect(sitting.hold({ order })).rejects.toThrow(message);
      expect([sitting.operator.asked, sitting.files.size]).toEqual([[], 0]);
    }
  });

  it('goes on with its own only, and never on a folder that holds a root', async () => {
    const sitting = new Sitting();
    const lost: Script = ({ id }) => (id === 'share.3' ? 'zoo' : undefined);
    await expect(sitting.hold({ script: lost })).rejects.toThrow('not read back');
    const others: CeremonyOrder[] = [
      { ...ORDER, plan: { ...plan, backdateMinutes: 1 } },
      { ...ORDER, isRehearsal: true },
      { ...ORDER, custody: { ...custody, threshold: 3 } },
    ];
    for (const order of others)
      await expect(sitting.hold({ order })).rejects.toThrow('Another ceremony was begun');
    const refuse: Script = ({ id }) => (id === 'resume' ? 'no' : undefined);
    await expect(sitting.hold({ script: refuse })).rejects.toThrow('did not say yes');
    await sitting.hold();
    await expect(sitting.hold()).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    sitting.files.clear();
    await expect(sitting.hold()).rejects.toThrow('The bundle’s folder already holds');
    sitting.bundle.delete('root.crt');
    await expect(sitting.hold()).rejects.toThrow('The bundle’s folder already holds');
  });

  it('goes on with no bundle of another root', async () => {
    const [sitting, other] = [new Sitting(), new Sitting()];
    await other.hold();
    await expect(sitting.hold({ hear: dieAt('write record.txt') })).rejects.toThrow(Died);
    for (const [name, text] of other.bundle) sitting.bundle.set(name, text);
    await expect(sitting.hold()).rejects.toThrow('The bundle’s folder already holds');
    expect([...sitting.bundle]).toEqual([...other.bundle]);
    sitting.bundle.clear();
    expect(problems(await sitting.hold())).toEqual([]);
  });

  it('tells of a certificate that it had signed for a request that was exchanged', async () => {
    const sitting = new Sitting();
    let writes = 0;
    const hear = (change: string) => {
      // The first after the certificate is on the disk.
      if (change === 'write issuing.crt') writes++;
      else if (writes > 0) throw new Died();
    };
    await expect(sitting.hold({ hear })).rejects.toThrow(Died);
    const [sum] = signedSums(sitting.files);
    const other = toPem('CERTIFICATE REQUEST', request('issuing', newKey()));
    const order: CeremonyOrder = {
      ...ORDER,
      request: async (kind) => (kind === 'issuing' ? other : requests[kind]),
    };
    expect(problems(await sitting.hold({ order }))).toEqual([]);
    expect(sitting.record.steps).toContainEqual(
      expect.objectContaining({ step: 'signed the issuing CA for another request', sha256: sum }),
    );
  });

  it('needs the holders again when it died after they had their shares', async () => {
    const sitting = new Sitting();
    const hear = dieAt('write issuing.crt');
    await expect(sitting.hold({ hear })).rejects.toThrow(Died);
    const kept = new Map(sitting.files);
    const nobody: Script = ({ id }) => (id.startsWith('held-') ? '' : undefined);
    await expect(sitting.hold({ script: nobody })).rejects.toThrow('2 shares are needed, 0 came');
    const lastOne: Script = ({ id }, paper) =>
      id === 'held-share.2' ? paper.get('share.1') : undefined;
    await expect(sitting.hold({ script: lastOne })).rejects.toThrow('2 shares are needed, 1 came');
    expect(sitting.operator.whispered.at(-1)).toContain('✘ Share 1, Ada, was given already.');
    expect(sitting.files.get('root.key')).toBe(kept.get('root.key'));
    expect(problems(await sitting.hold())).toEqual([]);
  });
});

describe('a rehearsal', () => {
  it('does all of it, and none of it is of use', async () => {
    const sitting = new Sitting();
    expect(problems(await sitting.hold({ order: REHEARSAL }))).toEqual([]);
    expect([...sitting.files.keys()]).not.toContain('root.key');
    expect(sitting.bundle.get('record.txt')).toMatch(/^RECORD OF A REHEARSAL/);
    expect(sitting.operator.said[0]).toContain('REHEARSAL');
    expect(decodeShare(sitting.paper.get('share.1') as string).isRehearsal).toBe(true);
    expect(sitting.bundle.get('plan.yaml')).toContain('rehearsal.invalid');
    expect(problems(verifyMemory(sitting.bundle, false))).toEqual([
      'no rehearsal is one: nothing of it may be used',
    ]);
  });

  it('has names that still fit', () => {
    const long = { ...plan, root: { ...plan.root, subject: { commonName: 'x'.repeat(64) } } };
    expect(rehearsalPlan(long).root.subject.commonName).toMatch(/^REHEARSAL x{54}$/);
  });
});

describe('a process that dies', () => {
  it.each(['real', 'rehearsed'])(
    'at any write is taken up by the next one, %s',
    async (kind) => {
      const order = kind === 'real' ? ORDER : REHEARSAL;
      const changes: string[] = [];
      await new Sitting().hold({ order, hear: (change) => void changes.push(change) });
      expect(changes.length).toBeGreaterThan(25);
      // Before each: after the one before it the disk is the same, and the last one leaves nothing to do.
      for (const at of changes.keys()) {
        const sitting = new Sitting();
        let left = at;
        const hear = () => {
          if (left-- === 0) throw new Died();
        };
        await expect(sitting.hold({ order, hear })).rejects.toThrow(Died);
        const signed = sitting.bundle.get('transcript.json');
        const sums = signedSums(sitting.files);
        // None is made that no file names.
        const named = sitting.files.get('root.key');
        expect([...sitting.keys].filter((key) => key !== named)).toEqual([]);
        expect([at, problems(await sitting.hold({ order }))]).toEqual([at, []]);
        expect(sitting.files.has('ceremony.json')).toBe(false);
        // Whatever the root has signed stands in its transcript, and no key is forgotten.
        expect(sitting.record.steps.map(({ sha256 }) => sha256)).toEqual(
          expect.arrayContaining(sums),
        );
        const own = kind === 'real' ? 1 : 0;
        expect([at, sitting.keys.size]).toEqual([at, own]);
        if (signed !== undefined && kind === 'real')
          expect(
            sitting.record.steps.filter(({ step }) => step === 'signed the issuing CA'),
          ).toHaveLength(1);
      }
    },
    120_000,
  );
});

/** Dies before the first such change. */
function dieAt(change: string): (what: string) => void {
  return (what) => {
    if (what === change) throw new Died();
  };
}

/** SHA-256, hex, of what the root has signed and is on the disk. */
function signedSums(files: MemoryFiles['contents']): string[] {
  const all = {
    'issuing.crt': 'CERTIFICATE',
    'services.crt': 'CERTIFICATE',
    'root.crl': 'X509 CRL',
  };
  return Object.entries(all).flatMap(([name, label]) => {
    const pem = files.get(name);
    return pem === undefined ? [] : [hash('sha256', fromPem(pem, label)[0] as Buffer, 'hex')];
  });
}

function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex');
}
