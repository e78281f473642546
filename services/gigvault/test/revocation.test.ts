import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@gigvault/testkit/eventually';
import { MODES } from '@gigvault/testkit/pki-process';
import { runOrFail, runProgram } from '@gigvault/testkit/run-program';
import { systemClock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { passphraseFile, passphraseOf } from './root-passphrase.ts';
import { QUICK_CRL, startAcmeClient, usePki } from './use-pki.ts';

type Acme = Awaited<ReturnType<typeof startAcmeClient>>;

/** Milliseconds, as promised: OCSP after a revocation, and the CRL, whose coalescing takes 10 s at most. */
const OCSP_WITHIN = 1_000;
const CRL_WITHIN = 12_000;

describe.each(MODES)('revocation as relying parties see it, %s', (mode) => {
  // How long a CRL may take by default is seen in one process.
  const shared = usePki(mode, ...(mode === 'split' ? QUICK_CRL : []));
  let acme: Acme;

  beforeAll(async () => {
    acme = await startAcmeClient(shared);
  });

  afterAll(() => acme?.responder.stop());

  it('OCSP says good, and revoked with the reason within a second — covers: T53, T55, T56, G84', async () => {
    const leaf = await issue(shared, acme, 'ocsp.localhost');
    expect(await opensslOcsp(leaf)).toMatch(/leaf\.pem: good/);
    expect((await acme.client.revoke(leaf.raw, 1)).status).toBe(200);
    const revoked = systemClock.now();
    const asked = await eventually(async () => {
      const now = systemClock.now();
      expect(await opensslOcsp(leaf)).toMatch(/: revoked/);
      return now;
    });
    expect(asked - revoked).toBeLessThan(OCSP_WITHIN);
    expect(await opensslOcsp(leaf)).toMatch(/Reason: keyCompromise/);
    // A second time it is refused, and nothing changes (T56).
    const again = await acme.client.revoke(leaf.raw, 4);
    expect(again.json<{ type: string }>().type).toBe('urn:ietf:params:acme:error:alreadyRevoked');
    expect(await opensslOcsp(leaf)).toMatch(/Reason: keyCompromise/);
  });

  it('OCSP says unknown of what was never issued, and repeats the nonce — covers: T53, T54', async () => {
    const leaf = await issue(shared, acme, 'nonce.localhost');
    const never = ['-serial', '0x4242424242424242424242424242424242424242'];
    expect(await opensslOcsp({ ...leaf, ask: never })).toMatch(/: unknown/);
    const withNonce = await opensslOcsp(leaf, '-nonce', '-text');
    expect(withNonce.match(/OCSP Nonce/g)).toHaveLength(2);
    expect(withNonce).toMatch(/Response verify OK/);
    expect(withNonce).not.toMatch(/WARNING/);
  });

  it('OCSP answers a GET, with caching headers — covers: T54', async () => {
    const leaf = await issue(shared, acme, 'get.localhost');
    const request = join(leaf.folder, 'request.der');
    await runOrFail('openssl', [
      ...['ocsp', '-issuer', leaf.issuer, '-cert', leaf.file, '-no_nonce', '-reqout', request],
    ]);
    const path = encodeURIComponent(readFileSync(request).toString('base64'));
    const answer = join(leaf.folder, 'answer.der');
    const headers = await runOrFail('curl', [
      ...['--fail', '--silent', '--show-error', '--dump-header', '-', '--output', answer],
      `${leaf.ocspUrl}/${path}`,
    ]);
    expect(headers).toMatch(/^content-type: application\/ocsp-response/im);
    expect(headers).toMatch(/^cache-control: .*max-age=\d+/im);
    expect(headers).toMatch(/^expires: /im);
    const said = await runOrFail('openssl', [
      ...['ocsp', '-respin', answer, '-issuer', leaf.issuer, '-cert', leaf.file],
      ...['-CAfile', shared.pki.rootFile],
    ]);
    expect(said).toMatch(/leaf\.pem: good/);
  });

  it('the CRL that the certificate names lists it within 60 s — covers: T55, G84', async () => {
    const leaf = await issue(shared, acme, 'crl.localhost');
    const crl = join(leaf.folder, 'crl.pem');
    await fetchCrl(leaf, crl);
    await verify(shared, leaf, crl);
    const before = readCertList(await download(leaf.crlUrl)).crlNumber;
    expect((await acme.client.revoke(leaf.raw, 4)).status).toBe(200);
    const serial = readCertificate(leaf.raw).serialNumber;
    await eventually(async () => {
      const listed = [...readCertList(await download(leaf.crlUrl)).entries()];
      expect(listed.find((entry) => entry.serialNumber === serial)).toMatchObject({
        reasonCode: 4,
      });
    }, CRL_WITHIN);
    expect(readCertList(await download(leaf.crlUrl)).crlNumber).toBeGreaterThan(before);
    await fetchCrl(leaf, crl);
    expect(await runOrFail('openssl', ['crl', '-in', crl, '-noout', '-text'])).toMatch(
      /Issuing Distribution Point: critical/i,
    );
    await expect(verify(shared, leaf, crl)).rejects.toThrow(/certificate revoked/);
  }, 40_000);

  it('goes on across a new key of the CA, made under load: two chains, two CRLs, OCSP for both — covers: G24', async () => {
    const { pki } = shared;
    const order = await acme.client.newOrder(['kept.localhost']);
    const kept = await acme.client.finish(order, ['kept.localhost']);
    const before = await issue(shared, acme, 'before.localhost');
    let rotating = true;
    const load = [0, 1].map(async (client) => {
      const chains: string[] = [];
      for (let i = 0; rotating; i++)
        chains.push(await acme.client.certificate([`load-${client}-${i}.localhost`]));
      return chains;
    });
    const rotate = ['ca', 'rotate', '--passphrase-file', passphraseFile(pki), '--generation', '2'];
    const rotated = await pki.cli(...rotate, '--yes');
    rotating = false;
    expect(rotated).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/issuing-g2 .* current/),
    });
    const issuers = (await Promise.all(load)).flat().map((chain) => issuerOf(chain));
    expect(
      issuers.filter(
        (issuer) => !/^(O=GigVault Dev\n)?CN=GigVault Dev Issuing CA( G2)?$/.test(issuer),
      ),
    ).toEqual([]);
    const after = await issue(shared, acme, 'after.localhost');
    expect(issuerOf(readFileSync(after.file, 'utf8'))).toMatch(/Issuing CA G2$/);
    // What was downloaded before is downloaded again, with its own chain; and the command has nothing left to do.
    const { certificate = '' } = await acme.client.settled({ ...order, status: 'processing' });
    expect((await acme.client.post(certificate, '')).text).toBe(kept);
    expect(await pki.cli(...rotate)).toMatchObject({ code: 0 });
    for (const leaf of [before, after]) {
      const crl = join(leaf.folder, 'rotated.crl.pem');
      await fetchCrl(leaf, crl);
      await verify(shared, leaf, crl);
      expect(await opensslOcsp(leaf)).toMatch(/: good/);
      expect((await acme.client.revoke(leaf.raw, 4)).status).toBe(200);
      await eventually(async () => expect(await opensslOcsp(leaf)).toMatch(/: revoked/));
      await eventually(async () => {
        await fetchCrl(leaf, crl);
        await expect(verify(shared, leaf, crl)).rejects.toThrow(/certificate revoked/);
      }, CRL_WITHIN);
    }
  }, 90_000);

  it('and another one, signed where the root is: the request goes there, the certificate comes back', async () => {
    const { pki } = shared;
    const [csr, crt] = [join(pki.home, 'g3.csr'), join(pki.home, 'g3.crt')];
    const asked = await pki.cli('ca', 'rotate', '--csr', csr, '--yes');
    expect(asked).toMatchObject({ code: 8, stdout: expect.stringContaining('rootca sign') });
    const root = ['--root', join(pki.dataDir, 'root'), '--passphrase-file', '-'];
    const signed = await pki.cliOf(
      'custodian',
      ['rootca', 'sign', ...root, '--kind', 'issuing', '--csr', csr, '--out', crt],
      { input: passphraseOf(pki) },
    );
    expect(signed).toMatchObject({ code: 0 });
    const handedIn = await pki.cli('ca', 'rotate', '--certificate', crt);
    expect(handedIn).toMatchObject({ code: 0, stdout: expect.stringContaining('issuing-g3') });
    const leaf = await issue(shared, acme, 'third.localhost');
    expect(issuerOf(readFileSync(leaf.file, 'utf8'))).toMatch(/Issuing CA G3$/);
    expect(await opensslOcsp(leaf)).toMatch(/: good/);
    const { stdout } = await pki.cli('ca', 'list', '-o', 'json');
    const { items } = JSON.parse(stdout) as { items: { issuerId: string; state: string }[] };
    expect(items.map(({ issuerId, state }) => `${issuerId} ${state}`)).toEqual([
      ...['issuing superseded', 'issuing-g2 superseded', 'issuing-g3 current'],
      'services current',
    ]);
    const transcripts = await pki.cliOf('custodian', [
      'rootca',
      'verify',
      '--dir',
      root[1] as string,
    ]);
    expect(transcripts).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('issuing-g2.crt'),
    });
  }, 40_000);

  it('every URL inside of the certificates answers, up to the root — covers: T55', async () => {
    const leaf = await issue(shared, acme, 'urls.localhost');
    const issuer = readCertificate(await download(leaf.issuerUrl));
    expect(issuer.der.equals(new X509Certificate(readFileSync(leaf.issuer)).raw)).toBe(true);
    const [rootUrl, rootCrlUrl] = [
      urlsOf(leaf.issuer, 'CA Issuers'),
      urlsOf(leaf.issuer, 'Full Name'),
    ];
    const root = await download((await rootUrl)[0] as string);
    expect(root.equals(new X509Certificate(readFileSync(shared.pki.rootFile)).raw)).toBe(true);
    const rootCrl = join(leaf.folder, 'root.crl.pem');
    writeFileSync(rootCrl, toPem('X509 CRL', await download((await rootCrlUrl)[0] as string)));
    await runOrFail('openssl', [
      'crl',
      '-in',
      rootCrl,
      '-noout',
      '-verify',
      '-CAfile',
      shared.pki.rootFile,
    ]);
    const leafCrl = join(leaf.folder, 'leaf.crl.pem');
    await fetchCrl(leaf, leafCrl);
    await runOrFail('openssl', [
      ...['verify', '-x509_strict', '-crl_check_all', '-CRLfile', leafCrl, '-CRLfile', rootCrl],
      ...['-CAfile', shared.pki.rootFile, '-untrusted', leaf.issuer, leaf.file],
    ]);
  });
});

interface Leaf {
  readonly folder: string;
  /** PEM. */
  readonly file: string;
  /** PEM. */
  readonly issuer: string;
  /** DER. */
  readonly raw: Buffer;
  readonly ocspUrl: string;
  readonly issuerUrl: string;
  readonly crlUrl: string;
  readonly rootFile: string;
  /** What `openssl ocsp` asks about. */
  readonly ask: readonly string[];
}

async function issue(
  { pki }: ReturnType<typeof usePki>,
  { client }: Acme,
  name: string,
): Promise<Leaf> {
  const chain = await client.certificate([name]);
  const folder = pki.home;
  const [leaf, issuer] = [join(folder, `${name}.leaf.pem`), join(folder, `${name}.issuer.pem`)];
  const [first, second] = chain.split(/(?<=-----END CERTIFICATE-----\n)/);
  writeFileSync(leaf, first as string);
  writeFileSync(issuer, second as string);
  return {
    folder,
    file: leaf,
    issuer,
    raw: new X509Certificate(first as string).raw,
    ocspUrl: (await runOrFail('openssl', ['x509', '-in', leaf, '-noout', '-ocsp_uri'])).trim(),
    issuerUrl: (await urlsOf(leaf, 'CA Issuers'))[0] as string,
    crlUrl: (await urlsOf(leaf, 'Full Name'))[0] as string,
    rootFile: pki.rootFile,
    ask: ['-cert', leaf],
  };
}

/** Of the first certificate. */
function issuerOf(pem: string): string {
  return new X509Certificate(pem).issuer;
}

/** URLs that `openssl x509 -text` prints after this label, on its line or the next. */
async function urlsOf(file: string, label: string): Promise<string[]> {
  const text = await runOrFail('openssl', ['x509', '-in', file, '-noout', '-text']);
  return [...text.matchAll(new RegExp(`${label}[^\\n]*?\\n?\\s*-? ?URI:(\\S+)`, 'g'))].map(
    (m) => m[1] as string,
  );
}

/** `openssl ocsp` over HTTP; it verifies the answer. */
async function opensslOcsp(leaf: Leaf, ...more: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram('openssl', [
    ...[
      'ocsp',
      '-issuer',
      leaf.issuer,
      ...leaf.ask,
      '-url',
      leaf.ocspUrl,
      '-CAfile',
      leaf.rootFile,
    ],
    ...(more.includes('-nonce') ? more : ['-no_nonce', ...more]),
  ]);
  expect(code).toBe(0);
  expect(stderr).toMatch(/Response verify OK/);
  return stdout + stderr;
}

async function download(url: string): Promise<Buffer> {
  const text = await runOrFail('sh', [
    '-c',
    'curl --fail --silent --show-error "$0" | base64',
    url,
  ]);
  return Buffer.from(text, 'base64');
}

/** Fetches the CRL of the leaf's issuer, verifies its signature, and keeps it as PEM. */
async function fetchCrl(leaf: Leaf, file: string): Promise<void> {
  writeFileSync(file, toPem('X509 CRL', await download(leaf.crlUrl)));
  await runOrFail('openssl', ['crl', '-in', file, '-noout', '-verify', '-CAfile', leaf.issuer]);
}

async function verify(shared: ReturnType<typeof usePki>, leaf: Leaf, crl: string): Promise<void> {
  await runOrFail('openssl', [
    ...['verify', '-crl_check', '-CRLfile', crl, '-CAfile', shared.pki.rootFile],
    ...['-untrusted', leaf.issuer, leaf.file],
  ]);
}
