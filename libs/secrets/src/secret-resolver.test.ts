import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { secretReference } from '@gigvault/config/secret';
import { type AwsProxy, startAwsProxy } from '@gigvault/testkit/aws-proxy';
import { type MotoServer, startMoto } from '@gigvault/testkit/moto-server';
import { type OpenBaoServer, startOpenBao } from '@gigvault/testkit/openbao-server';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { secretResolver } from './secret-resolver.ts';
import { secretsConfig } from './secrets.config.ts';

const SECRET = 'hunter2-hunter2';
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gigvault-secrets-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Why a place gives no secret; whatever it says has nothing of one. */
async function refusal(resolving: Promise<string>): Promise<{ code: string; message: string }> {
  const error = await resolving.then(
    (secret) => expect(secret).toBe('refused'),
    (failure: { code: string; message: string }) => failure,
  );
  expect(error?.message).not.toContain('hunter2');
  return error as { code: string; message: string };
}

describe('a secret in OpenBao, which speaks as Vault does — covers: X12', () => {
  let bao: OpenBaoServer;
  let tokenFile: string;
  beforeAll(async () => {
    bao = await startOpenBao();
    tokenFile = join(folder, 'vault-token');
    await writeFile(tokenFile, `${await bao.tokenFor('gigvault')}\n`, { mode: 0o600 });
    await bao.put('gigvault/hsm', { pin: `${SECRET}-1`, value: 'the usual field' });
    await bao.put('gigvault/hsm', { pin: `${SECRET}-2`, value: 'the usual field', port: '' });
    await bao.put('others/hsm', { pin: SECRET });
  });
  afterAll(() => bao?.stop());

  const read = (reference: string, more: object = {}) => {
    const { address, caFile } = bao;
    const vault = { address, caFile, token: `file://${tokenFile}`, ...more };
    const resolver = secretResolver(secretsConfig.parse({ vault }), { BAO: 'no-such-token' });
    return resolver.resolve(secretReference.parse(reference));
  };

  it('is read: the latest version, or the one that is asked for; the field, or the usual one', async () => {
    expect(await read('vault://secret/gigvault/hsm#pin')).toBe(`${SECRET}-2`);
    expect(await read('vault://secret/gigvault/hsm?version=1#pin')).toBe(`${SECRET}-1`);
    expect(await read('vault://secret/gigvault/hsm')).toBe('the usual field');
  });

  it.each([
    ['no such secret', 'vault://secret/gigvault/other#pin', /is not there/],
    ['no such version', 'vault://secret/gigvault/hsm?version=9#pin', /is not there/],
    ['no such field', 'vault://secret/gigvault/hsm#pni', /no text under 'pni'/],
    ['an empty field', 'vault://secret/gigvault/hsm#port', /is empty/],
    [
      'a path that the token may not read',
      'vault://secret/others/hsm#pin',
      /does not let this token/,
    ],
    ['an engine that is none', 'vault://kv/gigvault/hsm#pin', /does not let this token/],
  ])('that cannot be had says why: %s', async (_, reference, why) => {
    expect(await refusal(read(reference))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(why),
    });
    expect((await refusal(read(reference))).message).toContain(reference);
  });

  it('is not read with a token that is unknown, or past a certificate that is', async () => {
    const reference = 'vault://secret/gigvault/hsm#pin';
    expect(await refusal(read(reference, { token: 'env://BAO' }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(
        'does not let this token read it, or does not know the token',
      ),
    });
    expect(await refusal(read(reference, { token: 'env://NONE' }))).toMatchObject({
      message: 'The secret env://NONE is not there.',
    });
    expect(await refusal(read(reference, { caFile: undefined }))).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('certificate'),
    });
  });

  it('is not had where nobody speaks TLS, which is told in one line', async () => {
    const plain = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await once(plain.listen(0, '127.0.0.1'), 'listening');
    try {
      const address = `https://127.0.0.1:${(plain.address() as AddressInfo).port}`;
      expect(await refusal(read('vault://secret/gigvault/hsm', { address }))).toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/cannot be had now: TLS fails: [a-z ]+\.$/),
      });
    } finally {
      plain.close();
    }
  });

  it('is read again at each use: a token that an agent renews, a secret that is replaced', async () => {
    await bao.put('gigvault/changing', { value: 'one' });
    expect(await read('vault://secret/gigvault/changing')).toBe('one');
    await bao.put('gigvault/changing', { value: 'two' });
    expect(await read('vault://secret/gigvault/changing')).toBe('two');
  });

  it('of a server that is down or sealed may be had later', async () => {
    const reference = 'vault://secret/gigvault/hsm#pin';
    const down = await refusal(read(reference, { address: 'https://127.0.0.1:9' }));
    expect(down).toMatchObject({ code: 'UNAVAILABLE' });
    await bao.call('PUT', 'sys/seal', {});
    expect(await refusal(read(reference))).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('answers 503'),
    });
  });

  it('is not asked for over plain HTTP of another machine, nor of a server that nobody named', async () => {
    const token = 'env://T';
    for (const address of ['http://vault.example:8200', 'ftp://localhost', 'localhost:8200'])
      expect(secretsConfig.safeParse({ vault: { address, token } }).success).toBe(false);
    const elsewhere = { address: 'http://localhost:8200', token: 'vault://secret/a#b' };
    expect(secretsConfig.safeParse({ vault: elsewhere }).success).toBe(false);
    const nobody = secretResolver(secretsConfig.parse({}), {});
    const resolving = nobody.resolve(secretReference.parse('vault://secret/a#b'));
    expect(await refusal(resolving)).toMatchObject({
      message: expect.stringContaining('secrets.vault.address'),
    });
  });
});

describe('a secret in AWS, which moto plays — covers: X12', () => {
  let moto: MotoServer;
  let proxy: AwsProxy;
  const accessKeyId = 'AKIAEXAMPLEEXAMPLE';
  beforeAll(async () => {
    moto = await startMoto();
    proxy = await startAwsProxy(moto.endpoint);
    const { endpoint, region } = moto;
    const credentials = { accessKeyId, secretAccessKey: 'not checked' };
    const secrets = new SecretsManagerClient({ endpoint, region, credentials });
    const text = JSON.stringify({ pin: `${SECRET}-1`, tries: 3 });
    await secrets.send(new CreateSecretCommand({ Name: 'gigvault/hsm', SecretString: text }));
    await secrets.send(
      new PutSecretValueCommand({
        SecretId: 'gigvault/hsm',
        SecretString: `{"pin":"${SECRET}-2"}`,
      }),
    );
    await secrets.send(new CreateSecretCommand({ Name: 'plain', SecretString: `${SECRET}\n` }));
    await secrets.send(
      new CreateSecretCommand({ Name: 'octets', SecretBinary: Buffer.from(SECRET) }),
    );
    secrets.destroy();
    const parameters = new SSMClient({ endpoint, region, credentials });
    for (const Value of [`${SECRET}-1`, `${SECRET}-2`])
      await parameters.send(
        new PutParameterCommand({
          Name: '/gigvault/pin',
          Value,
          Type: 'SecureString',
          Overwrite: true,
        }),
      );
    parameters.destroy();
  });
  afterEach(() => proxy.mend());
  afterAll(async () => {
    await proxy?.stop();
    await moto?.stop();
  });

  const read = (reference: string, aws: object = {}) => {
    const credentials = { accessKeyId, secretAccessKey: 'env://KEY' };
    const config = { endpoint: proxy.endpoint, region: moto.region, credentials, ...aws };
    const resolver = secretResolver(secretsConfig.parse({ aws: config }), { KEY: 'not checked' });
    return resolver.resolve(secretReference.parse(reference));
  };

  it.each([
    ['aws-sm://gigvault/hsm#pin', `${SECRET}-2`],
    ['aws-sm://gigvault/hsm?stage=AWSPREVIOUS#pin', `${SECRET}-1`],
    ['aws-sm://plain', SECRET],
    ['aws-sm://octets', SECRET],
    ['aws-ssm:///gigvault/pin', `${SECRET}-2`],
    ['aws-ssm:///gigvault/pin?version=1', `${SECRET}-1`],
  ])('is read, and decrypted: %s', async (reference, secret) => {
    expect(await read(reference)).toBe(secret);
  });

  it.each([
    ['aws-sm://gigvault/other', /is not there/],
    ['aws-sm://gigvault/hsm#pni', /no text under 'pni'/],
    ['aws-sm://gigvault/hsm?stage=AWSPREVIOUS#tries', /no text under 'tries'/],
    ['aws-sm://plain#pin', /it is no JSON/],
    ['aws-ssm:///gigvault/other', /is not there/],
    ['aws-ssm:///gigvault/pin?version=9', /is not there/],
  ])('that cannot be had says why: %s', async (reference, why) => {
    expect(await refusal(read(reference))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(why),
    });
  });

  it.each([
    ['GetSecretValue', 'aws-sm://plain'],
    ['GetParameter', 'aws-ssm:///gigvault/pin'],
  ])('says whether it is denied, or only away: %s', async (operation, reference) => {
    proxy.fail(operation, { error: 'AccessDeniedException', status: 400 });
    expect(await refusal(read(reference))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('these credentials may not read it'),
    });
    proxy.fail(operation, { error: 'InternalServiceError', status: 500 });
    expect(await refusal(read(reference))).toMatchObject({ code: 'UNAVAILABLE' });
    proxy.fail(operation, { error: 'ThrottlingException', status: 400 }, 1);
    expect(await read(reference)).toContain(SECRET);
    expect(await refusal(read(reference, { endpoint: 'http://127.0.0.1:9' }))).toMatchObject({
      code: 'UNAVAILABLE',
    });
  });
});
