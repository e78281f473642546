import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { describe, expect, it } from '@jest/globals';
import { createRoot } from '../src/ceremony/create-root.ts';
import { fingerprintLines } from '../src/ceremony/fingerprint.ts';
import { issueRootCrl } from '../src/ceremony/issue-root-crl.ts';
import { newMemoryRootKey } from '../src/ceremony/root-key.ts';
import { parsePlan } from '../src/plan/plan.ts';
import { clock } from './ceremony-fixture.ts';
import { edit, useCeremonies } from './ceremony-folder.ts';

const ceremonies = useCeremonies('root', 'other');
const { at, answer, fails, gigvault, sharesOf } = ceremonies;
const verify = (...more: string[]) => gigvault('ceremony', 'verify', at('root/bundle'), ...more);

/** The output without its line breaks. */
const flowing = () => ceremonies.output.replaceAll(/\n {2,}/g, ' ');

describe('ceremony verify', () => {
  it('believes a bundle, by its fingerprint in hex and in words', async () => {
    await verify();
    expect([ceremonies.exitCode, fails()]).toEqual([0, []]);
    expect(ceremonies.output).toContain(
      '[note] room: answers a file has answered 6 questions. Accepted: by --answers',
    );
    const { record } = JSON.parse(await readFile(at('root/bundle/transcript.json'), 'utf8'));
    const sum = hash('sha256', await readFile(at('people.yaml')), 'hex');
    expect(record.steps).toContainEqual(
      expect.objectContaining({ step: 'took answers from a file', sha256: sum }),
    );
    for (const line of ceremonies.output.split('\n')) expect([...line].length).toBeLessThan(80);
    const [der] = fromPem(await readFile(at('root/bundle/root.crt'), 'utf8'), 'CERTIFICATE');
    const [hex1 = '', hex2 = '', ...words] = fingerprintLines(der as Buffer);
    expect(flowing()).toContain('[note] fingerprint not compared with what was written down');
    expect(flowing()).toContain(
      `--fingerprint. ${[hex1, hex2].map((hex) => hex.trim()).join(' ')}`,
    );
    for (const known of [`${hex1} ${hex2}`, words.join(' ')]) {
      await verify('--fingerprint', known);
      expect(ceremonies.output).toContain('[ ok ] fingerprint');
      expect(ceremonies.output).not.toContain('not compared');
      expect(ceremonies.exitCode).toBe(0);
    }
    await verify('--fingerprint', 'f'.repeat(64));
    expect(fails()).toEqual([
      '[fail] fingerprint is not the one that was given: this is another root',
    ]);
    expect(ceremonies.exitCode).toBe(10);
    await expect(verify('--fingerprint', 'abandon ability')).rejects.toThrow('24 words');
    const list = words.join(' ').trim().split(/\s+/);
    await expect(verify('--fingerprint', list.with(6, 'abandn').join(' '))).rejects.toThrow(
      'Word 7 is not in the list. It is "abandn". Did you mean "abandon"?',
    );
    const other = list[3] === 'zoo' ? 'zone' : 'zoo';
    const swapped = list.with(3, other).join(' ');
    await expect(verify('--fingerprint', swapped)).rejects.toThrow('do not belong together');
  });

  it('compares the program when somebody has written down which it was', async () => {
    await verify();
    const [sum = ''] = /(?<=program rootca 0\.1\.0\s+)[0-9a-f]{64}/.exec(ceremonies.output) ?? [];
    await verify('--program-sha256', sum);
    expect(ceremonies.exitCode).toBe(0);
    await verify(
      '--program-sha256',
      sum.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    );
    expect(fails()).toEqual(['[fail] program is not the one that was given']);
  });

  it.each<readonly [string, (bundle: string) => Promise<void>, string]>([
    [
      'a file is missing',
      (bundle) => rm(join(bundle, 'record.txt')),
      'sum of record.txt is missing',
    ],
    [
      'the record was changed',
      (bundle) => edit(join(bundle, 'record.txt'), (text) => text.replace('Ada', 'Eve')),
      'sum of record.txt was changed after the ceremony',
    ],
    [
      'the transcript was changed',
      (bundle) => edit(join(bundle, 'transcript.json'), (text) => text.replaceAll('Ada', 'Eve')),
      'transcript.json The transcript was changed, or another root signed it.',
    ],
    [
      'the plan was changed',
      (bundle) =>
        edit(join(bundle, 'plan.yaml'), (text) => text.replace('threshold: 2', 'threshold: 3')),
      'transcript.json plan.yaml is not the plan that the root was made with',
    ],
    [
      'a certificate is another root’s',
      (bundle) => cp(at('other/bundle/issuing.crt'), join(bundle, 'issuing.crt')),
      'issuing.crt is not signed by the root',
    ],
    [
      'a certificate has the place of another',
      (bundle) => cp(at('root/bundle/issuing.crt'), join(bundle, 'services.crt')),
      'services.crt is for "O=Test, CN=Test Issuing CA"',
    ],
    [
      'the root has the place of a CA',
      (bundle) => cp(at('root/bundle/root.crt'), join(bundle, 'issuing.crt')),
      'issuing.crt is for "O=Test, CN=Test Root CA"',
    ],
    [
      'a request is another one',
      (bundle) => cp(at('usb/services.csr'), join(bundle, 'issuing.csr')),
      'issuing.csr is not the request that was signed',
    ],
    [
      'a request is none',
      (bundle) => writeFile(join(bundle, 'issuing.csr'), 'x'),
      'issuing.csr There is no PEM block',
    ],
    [
      'the root is another one',
      (bundle) => cp(at('other/bundle/root.crt'), join(bundle, 'root.crt')),
      'transcript.json The transcript was changed, or another root signed it.',
    ],
    [
      'the CRL is another root’s',
      async (bundle) => {
        const root = await createRoot(
          parsePlan(await readFile(at('usb/plan.yaml'), 'utf8')),
          newMemoryRootKey(),
          clock,
        );
        await writeFile(
          join(bundle, 'root.crl'),
          toPem('X509 CRL', await issueRootCrl(root, clock)),
        );
      },
      'root.crl is not signed by the root',
    ],
    [
      'the key came along',
      (bundle) => cp(at('root/root.key'), join(bundle, 'root.key')),
      'no root key root.key is here: it must never leave the offline machine',
    ],
    [
      'the key came along, deeper',
      async (bundle) => {
        await mkdir(join(bundle, 'sub'));
        await cp(at('root/root.key'), join(bundle, 'sub/root.key'));
      },
      'no root key sub/root.key is here: it must never leave',
    ],
    [
      'the key came along as something else',
      (bundle) => cp(at('root/root.key'), join(bundle, 'notes.txt')),
      'no root key notes.txt holds a private key: it must never',
    ],
    [
      'there was no ceremony',
      (bundle) => rm(join(bundle, 'transcript.json')),
      'ceremony Cannot read',
    ],
  ])('says what is wrong when %s, with exit code 10', async (_what, change, message) => {
    await cp(at('root/bundle'), at('changed'), { recursive: true });
    await change(at('changed'));
    await gigvault('ceremony', 'verify', at('changed'));
    expect(fails().join('\n')).toContain(`[fail] ${message}`);
    expect(ceremonies.exitCode).toBe(10);
    await rm(at('changed'), { recursive: true });
  });

  it('compares the requests that lie there, and names what the transcript does not know', async () => {
    await cp(at('root/bundle'), at('with'), { recursive: true });
    for (const kind of ['issuing', 'services'])
      await cp(at(`usb/${kind}.csr`), at(`with/${kind}.csr`));
    await gigvault('ceremony', 'verify', at('with'));
    expect(ceremonies.output).toMatch(/\[ ok \] issuing\.csr\n[\s\S]*\[ ok \] services\.csr\n/);
    expect(ceremonies.output).not.toContain('other files');
    await edit(at('with/issuing.csr'), (text) => `${text}\n`);
    await mkdir(at('with/sub'));
    for (const name of ['a', 'b', 'c', 'd', 'e']) await writeFile(at(`with/${name}.txt`), '');
    await gigvault('ceremony', 'verify', at('with'));
    expect([ceremonies.exitCode, fails()]).toEqual([0, []]);
    expect(ceremonies.output).toContain(
      '[note] issuing.csr is the request that was signed, in a changed file',
    );
    expect(flowing()).toContain(
      '[note] other files the transcript does not know: a.txt, b.txt, c.txt, d.txt, e.txt and 1 more',
    );
    await rm(at('with'), { recursive: true });
  });

  it('takes no root without a ceremony, and no rehearsal for one', async () => {
    await gigvault('create', '--plan', at('usb/plan.yaml'), '--out', at('plain'));
    await rm(at('plain/root.key'));
    await gigvault('ceremony', 'verify', at('plain'));
    expect(fails()).toEqual(['[fail] ceremony the transcript does not tell of a key ceremony']);

    await answer('rehearsal', '--rehearse');
    expect(ceremonies.exitCode).toBe(0);
    await gigvault('ceremony', 'verify', at('rehearsal/bundle'));
    expect(fails()).toEqual(['[fail] no rehearsal is one: nothing of it may be used']);
    await gigvault('ceremony', 'verify', at('rehearsal/bundle'), '--rehearsal');
    expect(ceremonies.exitCode).toBe(0);
    const use = gigvault(
      'crl',
      '--root',
      at('rehearsal'),
      ...sharesOf('rehearsal-shares/share.1', 'rehearsal-shares/share.2'),
    );
    await expect(use).rejects.toMatchObject({ code: 'NOT_FOUND' });

    const plan = ['--plan', at('rehearsal/plan.yaml'), '--out', at('unreal')];
    const shares = ['--shares', '3', '--threshold', '2'];
    for (const command of [['create'], ['init', '--ceremony', ...shares]])
      await expect(gigvault(...command, ...plan)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('the plan of a rehearsal'),
      });
    expect(existsSync(at('unreal'))).toBe(false);
  });
});
