import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { eventually } from '@gigvault/testkit/eventually';
import { startHttp01Responder } from '@gigvault/testkit/http-01-responder';
import { runOrFail, runProgram } from '@gigvault/testkit/run-program';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import { buildOcspRequest, readOcspResponse } from '@gigvault/x509/ocsp-client';
import { fromPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import acme from 'acme-client';
import { QUICK_CRL, type SharedPki, usePki } from './use-pki.ts';

const HINT = 'install it: sudo apt-get install -y certbot lego openssl';

const token = await softHsmToken({ label: 'clients' });
// The PKI's processes take it from here.
Object.assign(process.env, token.environment);
afterAll(() => token.remove());

beforeAll(async () => {
  for (const [program, ...args] of [
    ['certbot', '--version'],
    ['lego', '--version'],
    ['openssl', 'version'],
  ])
    if ((await runProgram(program as string, args)).code !== 0)
      throw new Error(`${program} is missing; ${HINT}`);
});

describe('unmodified ACME clients, one process', () => {
  const shared = usePki('one process', ...QUICK_CRL);
  testCertbot(shared);
  testLego(shared);
  testRsaKeys(shared);
});

describe('unmodified ACME clients, split, all keys in a token', () => {
  const shared = usePki('split', ...QUICK_CRL, '--hsm', token.uri);
  // certbot asks for what lego asks for, and takes ten times as long.
  testLego(shared);
  testRsaKeys(shared);
});

function testCertbot(shared: SharedPki): void {
  it('certbot registers, orders, renews and revokes — covers: G27, G28, G83', async () => {
    const certbot = certbotOf(shared);
    const live = join(shared.pki.home, 'certbot', 'live', 'a.localhost');
    await certbot('certonly', '-d', 'a.localhost', '-d', 'b.localhost');
    const first = read(join(live, 'cert.pem'));
    expect(first.subjectAltName).toBe('DNS:a.localhost, DNS:b.localhost');
    await verifyChain(shared, join(live, 'fullchain.pem'));

    await certbot('renew', '--force-renewal', '--no-random-sleep-on-renew');
    const second = read(join(live, 'cert.pem'));
    expect(second.serialNumber).not.toBe(first.serialNumber);
    await verifyChain(shared, join(live, 'fullchain.pem'));

    // By the account's key, then the older one by its own.
    await certbot(
      'revoke',
      '--cert-path',
      join(live, 'cert.pem'),
      '--reason',
      'superseded',
      '--no-delete-after-revoke',
    );
    await becomesRevoked(shared, second, 4);
    const archive = join(shared.pki.home, 'certbot', 'archive', 'a.localhost');
    await certbot(
      'revoke',
      ...['--cert-path', join(archive, 'cert1.pem'), '--key-path', join(archive, 'privkey1.pem')],
      ...['--reason', 'keycompromise', '--no-delete-after-revoke'],
    );
    await becomesRevoked(shared, first, 1);
  }, 90_000);
}

function testLego(shared: SharedPki): void {
  it('lego registers, orders, renews and revokes — covers: G27, G28, G83', async () => {
    const lego = legoOf(shared);
    const file = join(shared.pki.home, 'lego', 'certificates', 'c.localhost.crt');
    await lego(['c.localhost', 'd.localhost'], 'run');
    const first = read(file);
    expect(first.subjectAltName).toBe('DNS:c.localhost, DNS:d.localhost');
    await verifyChain(shared, file);

    await lego(['c.localhost', 'd.localhost'], 'renew', '--days', '90', '--no-random-sleep');
    const second = read(file);
    expect(second.serialNumber).not.toBe(first.serialNumber);
    await verifyChain(shared, file);

    await lego(['c.localhost'], 'revoke', '--reason', '5', '--keep');
    await becomesRevoked(shared, second, 5);
    expect(await ocspStatus(shared, first)).toBe('good');
  }, 90_000);
}

function testRsaKeys(shared: SharedPki): void {
  it('acme-client with RSA keys, for the account and for the certificate — covers: G27, G28', async () => {
    const { pki } = shared;
    acme.axios.defaults.httpsAgent = new Agent({ ca: readFileSync(pki.rootFile) });
    const client = new acme.Client({
      directoryUrl: `${pki.publicUrl}/acme/directory`,
      accountKey: await acme.crypto.createPrivateRsaKey(2048),
      backoffMin: 100,
    });
    const [, csr] = await acme.crypto.createCsr(
      { commonName: 'e.localhost', altNames: ['e.localhost'] },
      await acme.crypto.createPrivateRsaKey(2048),
    );
    const responder = await startHttp01Responder(pki.ports.http01);
    try {
      const chain = await client.auto({
        csr,
        email: 'admin@example.com',
        termsOfServiceAgreed: true,
        skipChallengeVerification: true,
        challengeCreateFn: async (_authorization, challenge, keyAuthorization) =>
          responder.put(challenge.token, keyAuthorization),
        challengeRemoveFn: async () => undefined,
      });
      const certificate = new X509Certificate(chain);
      expect(certificate.publicKey.asymmetricKeyType).toBe('rsa');
      await client.revokeCertificate(chain, { reason: 4 });
      await expect(client.revokeCertificate(chain, { reason: 4 })).rejects.toThrow(/revoked/i);
      await becomesRevoked(shared, certificate, 4);
    } finally {
      await responder.stop();
      acme.axios.defaults.httpsAgent = undefined;
    }
  }, 60_000);
}

/** certbot with the standalone solver and directories of its own. */
function certbotOf({ pki }: SharedPki): (command: string, ...args: string[]) => Promise<string> {
  const home = join(pki.home, 'certbot');
  const folders = ['--config-dir', home, '--work-dir', home, '--logs-dir', join(home, 'logs')];
  const server = ['--server', `${pki.publicUrl}/acme/directory`];
  const solver = [
    '--standalone',
    '--http-01-port',
    `${pki.ports.http01}`,
    '--http-01-address',
    '127.0.0.1',
  ];
  const account = ['--agree-tos', '-m', 'admin@example.com', '--no-eff-email', '--non-interactive'];
  return (command, ...args) =>
    runOrFail(
      'certbot',
      [
        command,
        ...folders,
        ...server,
        ...account,
        ...(command === 'revoke' ? [] : solver),
        ...args,
      ],
      { env: { ...process.env, REQUESTS_CA_BUNDLE: pki.rootFile } },
    );
}

/** lego with its own http-01 server and a directory of its own. */
function legoOf({
  pki,
}: SharedPki): (names: readonly string[], ...args: string[]) => Promise<string> {
  const server = ['--server', `${pki.publicUrl}/acme/directory`, '--path', join(pki.home, 'lego')];
  const account = ['--email', 'admin@example.com', '--accept-tos'];
  const solver = ['--http', '--http.port', `127.0.0.1:${pki.ports.http01}`];
  return (names, ...args) =>
    runOrFail(
      'lego',
      [...server, ...account, ...solver, ...names.flatMap((name) => ['--domains', name]), ...args],
      { env: { ...process.env, LEGO_CA_CERTIFICATES: pki.rootFile } },
    );
}

function read(file: string): X509Certificate {
  return new X509Certificate(readFileSync(file));
}

/** `openssl verify` of the first certificate in the file, with the others as intermediates, by the strict rules. */
async function verifyChain({ pki }: SharedPki, file: string): Promise<void> {
  await runOrFail('openssl', [
    ...['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', pki.rootFile],
    ...['-untrusted', file, file],
  ]);
}

async function becomesRevoked(
  shared: SharedPki,
  certificate: X509Certificate,
  reasonCode: number,
): Promise<void> {
  await eventually(async () =>
    expect(await ocspStatus(shared, certificate)).toMatchObject({ reasonCode }),
  );
}

async function ocspStatus({ pki, http }: SharedPki, certificate: X509Certificate) {
  const [issuer] = fromPem(
    readFileSync(join(pki.dataDir, 'root', 'issuing.crt'), 'utf8'),
    'CERTIFICATE',
  );
  const answer = await http.fetch(`${pki.statusUrl}/ocsp`, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request' },
    body: buildOcspRequest(issuer as Buffer, certificate.serialNumber.toLowerCase()),
  });
  return readOcspResponse(answer.body).data.responses[0]?.status;
}
