import { hash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { machineRoom } from '@gigvault/rootca/adapters/machine-room';
import { initCeremony } from '@gigvault/rootca/commands/init';
import type { Operator } from '@gigvault/rootca/ports/operator';
import { checkPki } from '@gigvault/testkit/check-pki';
import { processesOf } from '@gigvault/testkit/leftovers';
import { MODES, type PkiProcess, preparePki, REPOSITORY } from '@gigvault/testkit/pki-process';
import { runOrFail } from '@gigvault/testkit/run-program';
import { systemClock } from '@gigvault/time/clock';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { fromPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { START_TIMEOUT } from './use-pki.ts';

const KINDS = ['issuing', 'services'] as const;
const SIGNED = ['root.crt', 'issuing.crt', 'services.crt', 'root.crl'];

/** A machine without a network: a folder, and the `rootca` command. */
class OfflineMachine {
  readonly folder: string;
  readonly usb: string;

  /** @param usb the folder that came from the other machine. */
  constructor(folder: string, usb: string) {
    this.folder = folder;
    this.usb = usb;
    mkdirSync(folder);
  }

  at(file: string): string {
    return join(this.folder, file);
  }

  /** One person, with a passphrase. */
  async signAlone(): Promise<void> {
    const shown = await rootca(
      'create',
      '--plan',
      join(this.usb, 'plan.yaml'),
      '--out',
      this.at('root'),
    );
    writeFileSync(this.at('passphrase'), /passphrase\s+(\S+)/.exec(shown)?.[1] as string);
    const key = ['--passphrase-file', this.at('passphrase')];
    for (const kind of KINDS)
      await this.sign(kind, join(this.usb, `${kind}.csr`), `${kind}.crt`, key);
  }

  /** Three people, two of whom are needed: they copy their shares into files. */
  async holdCeremony(): Promise<string> {
    const shown: string[] = [];
    mkdirSync(this.at('shares'));
    const paper = (id: string) => this.at(`shares/${id}`);
    const operator: Operator = {
      say: (text) => void shown.push(text),
      ask: async () => 'yes',
      showSecret: async ({ id, text }) =>
        writeFileSync(paper(id), text.slice(text.indexOf('\n\n'))),
      askSecret: async ({ id }) => readFileSync(paper(id), 'utf8'),
    };
    const checks = await initCeremony(
      {
        plan: join(this.usb, 'plan.yaml'),
        out: this.at('root'),
        bundle: this.at('bundle'),
        shares: '3',
        threshold: '2',
      },
      { clock: systemClock, operator, room: machineRoom(ROOTCA) },
    );
    expect(checks.filter(({ problem }) => problem !== undefined)).toEqual([]);
    return shown.join('\n');
  }

  /** With the shares of two holders. */
  signTogether(kind: string, csr: string, out: string): Promise<string> {
    const shares = [1, 3].flatMap((i) => ['--share-file', this.at(`shares/share.${i}`)]);
    return this.sign(kind, csr, out, shares);
  }

  private sign(kind: string, csr: string, out: string, key: string[]): Promise<string> {
    const what = ['--kind', kind, '--csr', csr, '--out', this.at(`root/${out}`)];
    return rootca('sign', '--root', this.at('root'), ...key, ...what);
  }
}

const ROOTCA = join(REPOSITORY, 'services/rootca/src/main.ts');

function rootca(...args: string[]): Promise<string> {
  return runOrFail(process.execPath, ['--disable-warning=ExperimentalWarning', ROOTCA, ...args]);
}

describe.each(MODES)('a root that is made on another machine, %s', (mode) => {
  let pki: PkiProcess;
  let folder: string;
  let offline: OfflineMachine;
  let other: OfflineMachine;

  const inFolder = (file: string) => join(folder, file);
  const inData = (file: string) => join(pki.dataDir, 'root', file);
  const up = (...more: string[]) => pki.tryStart('--offline-root', folder, ...more);
  const bring = (from: OfflineMachine, file: string, as = file) =>
    copyFileSync(from.at(`root/${file}`), inFolder(as));
  const bringBundle = () => cpSync(offline.at('bundle'), folder, { recursive: true });
  const keyOf = (file: string) => {
    const [der] = fromPem(readFileSync(inFolder(file), 'utf8'), 'CERTIFICATE REQUEST');
    return parseCertificationRequest(der as Buffer).publicKey.spkiSha256;
  };

  beforeAll(async () => {
    pki = await preparePki(mode);
    folder = join(pki.home, 'usb');
  }, START_TIMEOUT);

  afterAll(() => pki?.dispose(), START_TIMEOUT);

  if (mode === MODES[0])
    it(
      'is asked for as `init` says and as the page says, which name the same trust domain',
      async () => {
        const page = readFileSync(join(REPOSITORY, 'docs/operations/ceremony.md'), 'utf8');
        const [, init = '', first = ''] =
          /^gigvault (init [\s\S]*?[^\\])\ngigvault up ([\s\S]*?[^\\])\n/m.exec(page) ?? [];
        const words = (command: string) =>
          command
            .replaceAll('\\\n', ' ')
            .replaceAll('/media/usb', folder)
            .split(/\s+/)
            // Of the harness, which has ports of its own.
            .filter((word) => !['--split', '--environment', 'production'].includes(word));
        const printed = await rootca(...words(init));
        const hint = /^ +gigvault up (.*)$/m.exec(printed)?.[1] ?? '';
        for (const flags of [words(hint), words(first)]) {
          const { code, stderr } = await pki.tryStart(...flags);
          expect([code, code === 8 ? '' : stderr]).toEqual([8, '']);
          rmSync(pki.dataDir, { recursive: true });
          for (const kind of KINDS) rmSync(inFolder(`${kind}.csr`));
        }
        const without = await up();
        expect([without.code, without.stderr]).toEqual([
          2,
          expect.stringContaining('start with --trust-domain pki.example.com.'),
        ]);
        rmSync(pki.dataDir, { recursive: true });
        rmSync(folder, { recursive: true });
      },
      START_TIMEOUT,
    );

  it(
    'is asked for, and nothing serves meanwhile — covers: G6',
    async () => {
      const { code, stdout } = await up();
      expect(stdout).toContain('gigvault init --ceremony --plan plan.yaml');
      expect(stdout).toContain('the keys of the CAs stay in the data directory.');
      const sum = hash('sha256', readFileSync(inFolder('issuing.csr')), 'hex');
      expect(stdout).toContain(`issuing.csr   ${sum}`);
      expect(code).toBe(8);
      expect(readdirSync(folder).sort()).toEqual(['issuing.csr', 'plan.yaml', 'services.csr']);
      expect(processesOf(pki.dataDir, 'services and database')).toEqual([]);
    },
    START_TIMEOUT,
  );

  // There is no process but the first yet: in split mode the same.
  if (mode === 'one process') {
    it(
      'is asked for the same, also after a crash between the keys and the requests',
      async () => {
        const files = ['issuing.csr', 'plan.yaml', 'services.csr'];
        const read = () => files.map((file) => readFileSync(inFolder(file), 'utf8'));
        const [before, keys] = [read(), KINDS.map((kind) => keyOf(`${kind}.csr`))];
        expect((await up()).code).toBe(8);
        expect(read()).toEqual(before);

        rmSync(folder, { recursive: true });
        for (const file of files) rmSync(inData(file));
        expect((await up()).code).toBe(8);
        expect(KINDS.map((kind) => keyOf(`${kind}.csr`))).toEqual(keys);
        rmSync(folder, { recursive: true });
        const again = (await up()).code;
        expect([again, KINDS.map((kind) => keyOf(`${kind}.csr`))]).toEqual([8, keys]);
      },
      START_TIMEOUT,
    );

    it(
      'is not forgotten: a start without it makes no root of its own',
      async () => {
        const { code, stderr } = await pki.tryStart();
        expect(code).toBe(2);
        expect(stderr).toContain('start with --offline-root <folder>');
        const ephemeral = await up('--ephemeral', '--check-config');
        expect([ephemeral.code, ephemeral.stderr]).toEqual([2, expect.stringMatching(/ephemeral/)]);
      },
      START_TIMEOUT,
    );
  }

  it(
    'is made there, with openings for mistakes',
    async () => {
      offline = new OfflineMachine(join(pki.home, 'offline'), folder);
      other = new OfflineMachine(join(pki.home, 'other'), folder);
      const shown = await offline.holdCeremony();
      // The sums that the online machine has shown.
      expect(shown).toContain(hash('sha256', readFileSync(inFolder('issuing.csr')), 'hex'));
      await other.signAlone();
      // The same name, another key: what another installation with the same plan asks for.
      const subject = '/O=GigVault Dev/CN=GigVault Dev Issuing CA';
      const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
      const files = ['-keyout', offline.at('x.key'), '-out', offline.at('x.csr')];
      await runOrFail('openssl', ['req', ...newKey, '-subj', subject, ...files]);
      await offline.signTogether('issuing', offline.at('x.csr'), 'x.crt');
    },
    START_TIMEOUT,
  );

  const spoilt: readonly (readonly [string, () => void, readonly string[]])[] = [
    [
      'files are missing',
      () => rmAll('services.crt', 'root.crl'),
      ['services.crt   is missing', 'root.crl   is missing'],
    ],
    [
      'the issuing CA is by another root',
      () => bring(other, 'issuing.crt'),
      ['issuing.crt   is not signed by the root'],
    ],
    [
      'files are swapped',
      () => {
        bring(offline, 'issuing.crt', 'services.crt');
        bring(offline, 'services.crt', 'issuing.crt');
      },
      ['issuing.crt   is for "O=GigVault Dev, CN=GigVault Dev Services CA"', 'services.crt   is'],
    ],
    [
      'the CRL is of another root',
      () => bring(other, 'root.crl'),
      ['root.crl   is not signed by the root'],
    ],
    [
      'the key is not the one of keymgr',
      () => bring(offline, 'x.crt', 'issuing.crt'),
      ['issuing.crt   is for another key than ca-issuing'],
    ],
    [
      'a transcript is of another root',
      () => bring(other, 'transcript.json'),
      ['transcript.json   The transcript was changed, or another root signed it.'],
    ],
    [
      'a file is no certificate',
      () => writeFileSync(inFolder('root.crt'), 'x'),
      ['root.crt   There is no PEM block "CERTIFICATE".'],
    ],
    [
      'the root key comes along',
      () => {
        mkdirSync(inFolder('root'));
        bring(offline, 'root.key', 'root/root.key');
      },
      ['root/root.key is the root', 'belongs on the offline machine only'],
    ],
    [
      'the root key comes along as something else',
      () => bring(offline, 'root.key', 'notes.txt'),
      ['notes.txt holds a private key', 'belongs on the offline machine only'],
    ],
    [
      'a paper of the ceremony was changed',
      () => {
        bringBundle();
        edit('record.txt', 'Holder 3', 'Holder 4');
      },
      ['sum of record.txt   was changed after the ceremony'],
    ],
    [
      'the plan was changed',
      () => edit('plan.yaml', 'gigvault.local', 'evil.example'),
      ['was changed after'],
    ],
    [
      'the requests are of another installation',
      () => copyFileSync(offline.at('x.csr'), inFolder('issuing.csr')),
      ['was not written by this data directory'],
    ],
  ];

  // What is refused is read before there is any process but the first: in split mode the same.
  if (mode === 'one process')
    describe.each(spoilt)('nothing is taken when %s', (_name, spoil, said) => {
      it(
        'and it is told why',
        async () => {
          const before = readdirSync(join(pki.dataDir, 'root')).sort();
          const mine = ['plan.yaml', 'issuing.csr', 'services.csr'];
          const kept = mine.map((file) => readFileSync(inFolder(file)));
          for (const file of SIGNED) bring(offline, file);
          spoil();
          const { code, stderr } = await up();
          for (const words of said) expect(stderr).toContain(words);
          expect(code).toBe(2);
          expect(readdirSync(join(pki.dataDir, 'root')).sort()).toEqual(before);
          rmAll(...readdirSync(folder));
          for (const [i, file] of mine.entries()) writeFileSync(inFolder(file), kept[i] as Buffer);
        },
        START_TIMEOUT,
      );
    });

  it(
    'is taken, and then it is a PKI as any other, without a root key',
    async () => {
      bringBundle();
      await pki.start('--offline-root', folder);
      expect(pki.errors()).toMatch(/✔ root CA +made offline/);
      expect(pki.errors()).toMatch(/✔ self check/);
      expect(readFileSync(pki.rootFile)).toEqual(readFileSync(offline.at('root/root.crt')));
      expect(existsSync(inData('root.key'))).toBe(false);
      expect(pki.output()).not.toContain('Passphrase');
      expect(await rootca('verify', '--dir', join(pki.dataDir, 'root'))).not.toContain('[fail]');
      for (const at of [offline.at('bundle'), join(pki.dataDir, 'root')]) {
        const { code, stdout } = await pki.cli('ceremony', 'verify', at);
        expect([code, stdout]).toEqual([0, expect.not.stringContaining('[fail]')]);
      }
      expect((await pki.cli('cert', 'create', 'api.localhost')).code).toBe(0);
      expect((await checkPki(pki)).findings).toEqual([]);
    },
    START_TIMEOUT,
  );

  // As above.
  if (mode === 'one process') {
    it(
      'is asked for once only: later starts need no folder, and refuse another root’s',
      async () => {
        await pki.stop();
        bring(other, 'root.crt');
        const refused = await up();
        expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/has its root/)]);
        bring(offline, 'root.crt');
        await pki.start('--offline-root', folder);
        await pki.stop();
        await pki.start();
      },
      START_TIMEOUT,
    );
  }

  function rmAll(...files: string[]): void {
    for (const file of files) rmSync(inFolder(file), { recursive: true });
  }

  function edit(file: string, from: string, to: string): void {
    writeFileSync(inFolder(file), readFileSync(inFolder(file), 'utf8').replace(from, to));
  }
});
