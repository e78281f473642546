import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { fingerprintOf } from '../src/context/selected-context.ts';
import type { RootcaRun } from '../src/terminal.ts';
import { API } from './fake-server.ts';
import { createTestAuthority } from './test-authority.ts';
import { useCli } from './use-cli.ts';

const cli = useCli();

const CURRENT = {
  ...{ issuerId: 'issuing', line: 'issuing', generation: 1, state: 'current' },
  ...{ subject: 'CN=Example Issuing CA', keyType: 'ec-p256' },
  notAfter: '2031-11-20T09:00:00.000Z',
};
const NEXT = {
  ...CURRENT,
  ...{ issuerId: 'issuing-g2', generation: 2, state: 'prepared' },
  subject: 'CN=Example Issuing CA G2',
};
const PASSPHRASE = '7K2QX-00000-00000-00000-00000-00000';

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** A request for a key that the server has made. */
function newRequest(privateKey = newKey()): string {
  const subjectAltName = [{ type: 'dns', value: 'ca.test' } as const];
  const request = { privateKey, subject: [], subjectAltName };
  return toPem('CERTIFICATE REQUEST', buildCertificationRequest(request));
}

describe('ca', () => {
  let request: string;
  let handedIn: unknown[];

  beforeEach(() => {
    request = newRequest();
    handedIn = [];
    let looks = 0;
    const issuers = () => {
      if (handedIn.length === 0) return [CURRENT];
      const state = looks++ < 2 ? 'prepared' : 'current';
      return [
        { ...CURRENT, state: 'superseded' },
        { ...NEXT, state },
      ];
    };
    cli.server.routes[`GET ${API}/issuers`] = () => ({ status: 200, body: { items: issuers() } });
    cli.server.routes[`POST ${API}/issuers/issuing/rotate`] = () => ({
      status: 200,
      body: {
        ...{ ...NEXT, state: 'requested', certificationRequest: request },
        // What signs in these tests.
        rootCertificate: cli.server.authority.issuing,
      },
    });
    cli.server.routes[`POST ${API}/issuers/issuing/successor`] = ({ body }) => {
      handedIn.push(body);
      return { status: 200, body: NEXT };
    };
  });

  it('list shows each key of a CA', async () => {
    handedIn.push({});
    expect((await cli.machine.run('ca list')).out).toMatchInlineSnapshot(`
"ISSUER      SUBJECT                   KEY      STATE       ENDS
issuing     CN=Example Issuing CA     ec-p256  superseded  2031-11-20
issuing-g2  CN=Example Issuing CA G2  ec-p256  prepared    2031-11-20
"
`);
  });

  it('rotate asks, says which flag answers it, and takes the name of the CA only', async () => {
    const mute = await cli.machine.run('ca rotate --csr x.csr');
    expect([mute.code, mute.err]).toEqual([2, expect.stringContaining('--yes')]);
    const wrong = { stdinIsTty: true, ask: async () => 'yes' };
    expect((await cli.machine.run('ca rotate --csr x.csr', wrong)).code).toBe(130);
    const right = { stdinIsTty: true, ask: async () => 'issuing' };
    expect((await cli.machine.run('ca rotate --csr x.csr', right)).code).toBe(8);
  });

  it('rotate writes the request where the root is elsewhere, again and again, and over nothing else', async () => {
    const run = await cli.machine.run('ca rotate --yes');
    expect([run.code, run.out]).toEqual([8, expect.stringContaining('--kind issuing')]);
    expect(run.out).toMatch(/passphrase takes --passphrase-file .*; of one with shares, holders/);
    expect(await readFile(join(cli.machine.cwd, 'issuing-g2.csr'), 'utf8')).toBe(request);
    const key = newKey();
    request = newRequest(key);
    const next = await cli.machine.run('ca rotate --yes');
    expect(await readFile(join(cli.machine.cwd, 'issuing-g2.csr'), 'utf8')).toBe(request);
    const signedBefore = request;
    // ECDSA is randomised: the same key, other octets.
    request = newRequest(key);
    expect(request).not.toBe(signedBefore);
    expect(await cli.machine.run('ca rotate --yes')).toEqual(next);
    expect(await readFile(join(cli.machine.cwd, 'issuing-g2.csr'), 'utf8')).toBe(signedBefore);
    await writeFile(join(cli.machine.cwd, 'mine'), 'my own');
    expect((await cli.machine.run('ca rotate --yes --csr mine')).code).toBe(6);
    expect(await readFile(join(cli.machine.cwd, 'mine'), 'utf8')).toBe('my own');
    expect(handedIn).toEqual([]);
  });

  it('rotate hands a certificate in, and waits until it issues', async () => {
    await writeFile(join(cli.machine.cwd, 'g2.crt'), 'PEM');
    const run = await cli.machine.run('ca rotate --certificate g2.crt');
    expect(run).toMatchObject({ code: 0, out: expect.stringMatching(/issuing-g2 .* current/) });
    expect(handedIn).toEqual([{ certificate: 'PEM' }]);
  });

  describe('with the root at hand', () => {
    const runs: { args: readonly string[]; input: string }[] = [];
    let root: string;

    beforeEach(async () => {
      root = join(cli.machine.home, 'root');
      await mkdir(root);
      await writeFile(join(root, 'root.key'), 'encrypted');
      await writeFile(join(root, 'root.crt'), cli.server.authority.issuing);
      runs.length = 0;
    });

    /** As the program does it. */
    async function rootca(args: readonly string[], input: string): Promise<RootcaRun> {
      runs.push({ args, input });
      const of = (flag: string) => args[args.indexOf(flag) + 1] as string;
      const csr = await readFile(of('--csr'), 'utf8');
      await writeFile(of('--out'), cli.server.authority.issue(csr, '0a'));
      return { code: 0, stderr: '' };
    }

    it('rotate has it sign: the passphrase goes to its program alone', async () => {
      const questions: string[] = [];
      const askSecret = async (question: string) => {
        questions.push(question);
        return PASSPHRASE;
      };
      const terminal = { stdinIsTty: true, askSecret, runRootca: rootca };
      const run = await cli.machine.run(`ca rotate --yes --root ${root}`, terminal);
      expect([run.code, run.err]).toEqual([0, '']);
      expect(questions).toEqual([expect.stringContaining('root.key')]);
      const signed = join(root, 'issuing-g2.crt');
      expect(runs).toMatchObject([{ input: PASSPHRASE }]);
      expect(runs[0]?.args.join(' ')).toContain(`--out ${signed} --passphrase-file -`);
      expect(runs[0]?.args.join(' ')).not.toContain(PASSPHRASE);
      expect(handedIn).toEqual([{ certificate: await readFile(signed, 'utf8') }]);
      expect(JSON.stringify(cli.server.requests)).not.toContain(PASSPHRASE);
    });

    it('rotate finds the root beside the certificate of a context of the same PKI, and not of another', async () => {
      const other = createTestAuthority().root;
      const ca = cli.server.authority.root;
      const line = 'ca rotate --yes --passphrase-file p';
      const looked = expect.stringMatching(
        /--passphrase-file: of no use, no root was found .*looked in: .*ada\).*\n.*--root <folder>/s,
      );
      for (const [pinned, code] of [
        [other, 2],
        [ca, 0],
      ] as const) {
        const own = join(cli.machine.config, 'contexts', 'ada');
        await mkdir(own, { recursive: true });
        await writeFile(join(own, 'root.crt'), ca);
        const { url: server } = cli.server;
        await cli.machine.writeContexts('ada', {
          local: {
            server,
            caFile: join(root, 'root.crt'),
            rootFingerprint: fingerprintOf(pinned),
          },
          ada: { server, caFile: join(own, 'root.crt'), apiKey: 'gv_key_good' },
        });
        const run = await cli.machine.run(line, { runRootca: rootca });
        expect([run.code, run.err]).toEqual([code, code === 0 ? '' : looked]);
        expect(handedIn).toHaveLength(code === 0 ? 1 : 0);
      }
      expect(runs[0]?.args).toContain(root);
    });

    it('rotate refuses each flag of a root that would be of no use', async () => {
      const refused = async (flags: string, why: RegExp) => {
        const run = await cli.machine.run(`ca rotate --yes ${flags}`, { runRootca: rootca });
        expect([run.code, run.err]).toEqual([2, expect.stringMatching(why)]);
      };
      await refused('--hsm pkcs11:token=a', /--hsm: of no use, no root was found/);
      await refused(`--csr x.csr --root ${root}`, /--root: of no use, --csr is for a root on/);
      await rm(join(root, 'root.key'));
      await writeFile(join(root, 'token.yaml'), '');
      await refused(`--root ${root} --passphrase-file p`, /--passphrase-file: .* is in a token/);
      expect([runs, handedIn]).toEqual([[], []]);
    });

    it('rotate takes what a run that died has signed, and leaves the record of one that died in between', async () => {
      const line = `ca rotate --yes --root ${root} --passphrase-file p`;
      await writeFile(join(root, 'issuing-g2.crt.transcript.json'), '{}');
      expect((await cli.machine.run(line, { runRootca: rootca })).code).toBe(0);
      expect(await readdir(root)).toContain('issuing-g2.2.crt');
      expect((await cli.machine.run(line, { runRootca: rootca })).code).toBe(0);
      expect(runs).toHaveLength(1);
      expect(handedIn[1]).toEqual(handedIn[0]);
    });

    it('rotate does not ask the root of another PKI, and says which one has to sign', async () => {
      const line = `ca rotate --yes --root ${root} --passphrase-file p`;
      const refused = async (why: RegExp, code: number) => {
        const run = await cli.machine.run(line, { runRootca: rootca });
        expect([run.code, run.err]).toEqual([code, expect.stringMatching(why)]);
      };
      await writeFile(join(root, 'root.crt'), createTestAuthority().issuing);
      await refused(/not this PKI's: it is CN=.* \(SHA256 .*\), and CN=.* \(SHA256 .*\) has to/, 2);
      await writeFile(join(root, 'root.crt'), 'nonsense');
      await refused(/root\.crt is not a certificate/, 2);
      await rm(join(root, 'root.crt'));
      await refused(/holds no root: there is no root\.crt/, 2);
      expect([runs, handedIn]).toEqual([[], []]);
    });

    it('rotate takes no certificate for the key that another root has signed', async () => {
      const line = `ca rotate --yes --root ${root} --passphrase-file p`;
      const foreign = createTestAuthority().issue(request, '0b');
      await writeFile(join(root, 'issuing-g2.crt'), foreign);
      expect((await cli.machine.run(line, { runRootca: rootca })).code).toBe(0);
      expect(await readFile(join(root, 'issuing-g2.crt'), 'utf8')).toBe(foreign);
      const certificate = await readFile(join(root, 'issuing-g2.2.crt'), 'utf8');
      expect(handedIn).toEqual([{ certificate }]);
    });

    it('rotate says what keeps the root from signing, and hands nothing in', async () => {
      const runRootca = async () => ({
        code: 9,
        stderr:
          'error: The root key cannot be decrypted with this passphrase.  GV-KEY-UNAVAILABLE\n',
      });
      const line = `ca rotate --yes --root ${root}`;
      const refused = await cli.machine.run(`${line} --passphrase-file p`, { runRootca });
      expect([refused.code, refused.err]).toEqual([
        9,
        expect.stringMatching(/the root did not sign: .*passphrase.*GV-KEY-UNAVAILABLE/),
      ]);
      const mute = await cli.machine.run(line);
      expect([mute.code, mute.err]).toEqual([2, expect.stringContaining('--passphrase-file')]);
      await writeFile(join(root, 'custody.json'), '{}');
      const held = await cli.machine.run(line);
      expect([held.code, held.err]).toEqual([2, expect.stringContaining('--csr')]);
      const none = await cli.machine.run(`ca rotate --yes --root ${cli.machine.cwd}`);
      expect([none.code, none.err]).toEqual([2, expect.stringContaining('holds no root')]);
      expect(handedIn).toEqual([]);
    });
  });
});
