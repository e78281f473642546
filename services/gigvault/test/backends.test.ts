import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newRequest } from '@gigvault/testkit/acme-client';
import { startAwsProxy } from '@gigvault/testkit/aws-proxy';
import { checkPki, connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { faultyToken } from '@gigvault/testkit/faulty-token';
import { type HttpClient, httpClient } from '@gigvault/testkit/http-client';
import { startMoto } from '@gigvault/testkit/moto-server';
import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { runProgram } from '@gigvault/testkit/run-program';
import { swtpmToken } from '@gigvault/testkit/swtpm-token';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type Fields,
  type GrpcKeystore,
  grpcKeystore,
  type KeystoreClient,
  type OperationName,
  restKeystore,
} from './keystore-clients.ts';
import { useRest } from './rest-client.ts';
import { QUICK_CRL, type SharedPki, START_TIMEOUT, startAcmeClient } from './use-pki.ts';

const DATA = Buffer.from('to be signed');
/** Exit codes. */
const UNAVAILABLE = 9;
/** What a person may have made in a minute, by default. */
const GENERATIONS = 10;

const folder = mkdtempSync(join(tmpdir(), 'gigvault-backends-'));
const [token, tpm, moto] = await Promise.all([faultyToken('hsm'), swtpmToken('tpm'), startMoto()]);
const aws = await startAwsProxy(moto.endpoint);
// The PKI's processes take it from here.
Object.assign(process.env, token.environment, tpm.environment);
afterAll(async () => {
  await Promise.all([token.remove(), tpm.remove(), aws.stop()]);
  await moto.stop();
  rmSync(folder, { recursive: true });
});

describe('a PKI in a token, with keys of people in a TPM and in AWS KMS beside it', () => {
  let pki: PkiProcess;
  let http: HttpClient;
  const shared: SharedPki = {
    get pki() {
      return pki;
    },
    get http() {
      return http;
    },
  };

  beforeAll(async () => {
    pki = await startPki('split', ...QUICK_CRL, '--config', configuration());
    http = httpClient(readFileSync(pki.rootFile));
  }, START_TIMEOUT);
  afterAll(async () => {
    http?.close();
    await pki?.dispose();
  }, START_TIMEOUT);

  const rest = useRest(shared);
  let grpc: GrpcKeystore;
  let protocols: readonly KeystoreClient[];
  let operator: string;

  beforeAll(() => {
    grpc = grpcKeystore(shared);
    protocols = [restKeystore(rest), grpc.call];
    operator = `Bearer ${rest.token}`;
  });
  afterAll(() => grpc?.close());

  afterEach(async () => {
    aws.mend();
    await token.mend();
  });

  /** That both protocols answer like this. */
  async function bothAnswer(
    [operation, fields, who = operator]: [OperationName, Fields, string?],
    expected: object,
  ): Promise<void> {
    for (const ask of protocols)
      expect(await ask(operation, fields, who)).toEqual(expect.objectContaining(expected));
  }

  const sign = (keyId: string) => ({ keyId, data: DATA.toString('base64') });

  it.each(['hsm', 'tpm', 'cloud'])(
    '%s makes a key, signs with it, and others can verify',
    async (backend) => {
      const [byRest, byGrpc] = protocols as [KeystoreClient, KeystoreClient];
      const keyId = `in-${backend}`;
      const made = await byRest('GenerateKey', { keyId, keyType: 'ec-p256', backend }, operator);
      expect(made).toMatchObject({ done: { backend, state: 'active' } });
      const signed = await byGrpc('Sign', sign(keyId), operator);
      const { signature } = (signed as { done: { signature: string } }).done;
      const shown = await byRest('GetKey', { keyId }, operator);
      const pem = (shown as { done: { publicKey: string } }).done.publicKey;
      expect(verify('sha256', DATA, createPublicKey(pem), Buffer.from(signature, 'base64'))).toBe(
        true,
      );
      const done = expect.objectContaining({ valid: true });
      await bothAnswer(['Verify', { ...sign(keyId), signature }], { done });
      expect(await pki.cli('backends', 'test', backend)).toMatchObject({ code: 0 });
    },
    60_000,
  );

  it.each([
    ['hsm', 'ml-dsa-44'],
    ['tpm', 'ed25519'],
    ['cloud', 'hmac-sha256'],
  ])('%s has no %s: not supported, on both protocols', async (backend, keyType) => {
    const { authorization } = await rest.signedIn(`curious-${backend}`, 'operator');
    const fields = { keyId: `no-${backend}`, keyType, backend };
    await bothAnswer(['GenerateKey', fields, authorization], {
      refused: 'OPERATION_NOT_SUPPORTED',
    });
  });

  it('one that fails is unavailable, with a time to come back, and the others go on — covers: T11', async () => {
    const unavailable = { refused: 'KEY_UNAVAILABLE', retryAfter: expect.any(Number) };
    await token.fail('C_Sign', '0x30', 'always');
    await token.fail('C_OpenSession', '0x30', 'always');
    aws.fail('Sign', { error: 'KMSInternalException', status: 500 });
    const signed = { done: expect.objectContaining({ version: 1 }) };
    for (const keyId of ['in-hsm', 'in-cloud'])
      await bothAnswer(['Sign', sign(keyId)], unavailable);
    await bothAnswer(['Sign', sign('in-tpm')], signed);
    await token.mend();
    aws.mend();
    for (const keyId of ['in-hsm', 'in-cloud'])
      await eventually(() => bothAnswer(['Sign', sign(keyId)], signed));
  }, 60_000);

  it('who makes too many keys is told when to come back', async () => {
    const { authorization } = await rest.signedIn('eager', 'operator');
    const generate = ['GenerateKey', { keyType: 'ec-p256' }, authorization] as const;
    const made = { done: expect.objectContaining({ backend: 'hsm' }) };
    for (let n = 0; n < GENERATIONS; n += protocols.length) await bothAnswer([...generate], made);
    const refused = { refused: 'RATE_LIMITED', retryAfter: expect.any(Number) };
    // A share comes back every six seconds, which a busy machine may take for as many keys.
    for (const ask of protocols) {
      let answer = await ask(...generate);
      while ('done' in answer) answer = await ask(...generate);
      expect(answer).toEqual(expect.objectContaining(refused));
    }
  }, 60_000);

  it(
    'a token that signs wrong: nothing of it is given out, and its operator is told — covers: T13',
    async () => {
      const { client, responder } = await startAcmeClient(shared, 1_000);
      try {
        const leaf = join(folder, 'leaf.pem');
        writeFileSync(leaf, await client.certificate(['before.localhost']));
        expect(await askOcsp(pki, leaf)).toMatch(/verify OK[\s\S]*: good/);
        const before = await certificatesOf(pki);
        const order = await client.prove(await client.newOrder(['wrong.localhost']));
        const { csr } = newRequest(['wrong.localhost']);
        await token.fail('C_Sign', 'wrong', 'always');
        expect((await client.post(order.finalize, { csr })).text).not.toContain('"certificate"');
        expect(await certificatesOf(pki)).toBe(before);
        expect(await askOcsp(pki, leaf)).toMatch(/^Responder Error: (trylater|internalerror)/);
        await bothAnswer(['Sign', sign('in-hsm')], { refused: 'KEY_UNAVAILABLE' });
        // An access token is signed there as well.
        const grant = { grantType: 'client_credentials', clientSecret: rest.apiKey };
        expect((await rest.call('POST', '/token', grant)).status).toBe(503);
        const { code, stderr } = await pki.cli('backends', 'test', 'hsm');
        expect([code, stderr]).toEqual([UNAVAILABLE, expect.stringContaining('wrong')]);
        const log = readFileSync(join(pki.dataDir, 'logs', 'gigvault.log'), 'utf8');
        expect(log).toMatch(/"level":"error".*"backend":"hsm".*backend gave a wrong signature/);
        await token.mend();
        expect(await client.settled(order)).toMatchObject({ status: 'valid' });
        expect(await askOcsp(pki, leaf)).toMatch(/verify OK[\s\S]*: good/);
        await checkWithoutGivenUp(pki);
      } finally {
        await responder.stop();
      }
    },
    START_TIMEOUT,
  );
});

/** How many have been issued. */
async function certificatesOf(pki: PkiProcess): Promise<number> {
  const database = await connect(pki);
  try {
    const issued = 'SELECT count(*)::int AS n FROM ca.certificate WHERE certificate IS NOT NULL';
    const { rows } = await database.query<{ n: number }>(issued);
    return rows[0]?.n as number;
  } finally {
    await database.end();
  }
}

/** All is well, but that wrong signatures are on record: each under an intent that has been given up. */
async function checkWithoutGivenUp(pki: PkiProcess): Promise<void> {
  const { findings } = await checkPki(pki);
  const database = await connect(pki);
  try {
    const tombstoned = "SELECT intent_id FROM ca.intent WHERE status = 'tombstoned'";
    const { rows } = await database.query<{ intent_id: string }>(tombstoned);
    const known = rows.map((row) => `signature does not verify: ${row.intent_id}`);
    expect(findings.filter((finding) => !known.includes(finding))).toEqual([]);
    expect(findings.length).toBeGreaterThan(0);
  } finally {
    await database.end();
  }
}

/** With a nonce: the answer is signed for this question. */
async function askOcsp(pki: PkiProcess, leaf: string): Promise<string> {
  const issuer = join(pki.dataDir, 'root', 'issuing.crt');
  const which = ['-issuer', issuer, '-cert', leaf, '-url', `${pki.statusUrl}/ocsp`];
  const { stdout, stderr } = await runProgram('openssl', [
    'ocsp',
    ...which,
    '-CAfile',
    pki.rootFile,
  ]);
  return stderr + stdout;
}

function configuration(): string {
  const { endpoint } = aws;
  const secret = join(folder, 'aws');
  writeFileSync(secret, 'secret\n', { mode: 0o600 });
  const credentials = { accessKeyId: 'AKIABACKENDSTEST', secretAccessKey: `file://${secret}` };
  const backends = {
    hsm: { type: 'pkcs11', uri: token.uri },
    tpm: {
      type: 'tpm2',
      token: 'tpm',
      pin: `file://${tpm.pinFile}`,
      tcti: tpm.environment['TPM2_PKCS11_TCTI'],
      directory: tpm.folder,
    },
    cloud: { type: 'aws-kms', region: moto.region, endpoint, credentials },
  };
  const file = join(folder, 'gigvault.yaml');
  writeFileSync(file, JSON.stringify({ keymgr: { backend: 'hsm', backends } }));
  return file;
}
