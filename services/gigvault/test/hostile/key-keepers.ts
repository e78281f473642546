import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAwsProxy } from '@gigvault/testkit/aws-proxy';
import { type MotoServer, startMoto } from '@gigvault/testkit/moto-server';
import { startOpenBao } from '@gigvault/testkit/openbao-server';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';

/** Has the secret key with which Parameter Store is asked. */
const AWS_KEY_VARIABLE = 'CANARY_AWS_SECRET_KEY';

/** A token whose PIN is in a vault, and AWS KMS, whose secret key is in Parameter Store, with secrets long enough to be looked for. */
export interface KeyKeepers {
  /** What the PKI's processes are started with: what the token's library reads, and AWS_KEY_VARIABLE. */
  readonly environment: Readonly<Record<string, string>>;
  readonly pin: string;
  readonly vaultToken: string;
  /** With which Parameter Store is asked. */
  readonly awsSecretKey: string;
  /** With which KMS is asked. */
  readonly kmsSecretKey: string;
  /** Sections `secrets` and `keymgr` of a PKI that uses them. */
  readonly configuration: object;
  /** KMS refuses everything meanwhile. */
  breakFor(run: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

/** Starts OpenBao and moto, and makes a SoftHSM token. */
export async function startKeyKeepers(): Promise<KeyKeepers> {
  const folder = await mkdtemp(join(tmpdir(), 'gigvault-keepers-'));
  const pin = randomBytes(12).toString('hex');
  const secretKey = () => randomBytes(20).toString('hex');
  const [awsSecretKey, kmsSecretKey] = [secretKey(), secretKey()];
  const [token, bao, moto] = await Promise.all([
    softHsmToken({ label: 'canaries', pin }),
    startOpenBao(),
    startMoto(),
  ]);
  const proxy = await startAwsProxy(moto.endpoint);
  await putParameter(moto, '/gigvault/kms', kmsSecretKey);
  await bao.put('gigvault/token', { pin });
  const vaultToken = await bao.tokenFor('gigvault');
  const tokenFile = join(folder, 'vault');
  await writeFile(tokenFile, `${vaultToken}\n`, { mode: 0o600 });
  const { address, caFile } = bao;
  const { endpoint } = proxy;
  const as = (secretAccessKey: string) => ({ accessKeyId: 'AKIACANARYCANARY', secretAccessKey });
  const { region } = moto;
  const aws = { region, endpoint, credentials: as(`env://${AWS_KEY_VARIABLE}`) };
  const credentials = as('aws-ssm:///gigvault/kms');
  const place = encodeURIComponent('vault://secret/gigvault/token#pin');
  const uri = token.uri.replace(/pin-source=.*/, `pin-source=${place}`);
  return {
    environment: { ...token.environment, [AWS_KEY_VARIABLE]: awsSecretKey },
    pin,
    vaultToken,
    awsSecretKey,
    kmsSecretKey,
    configuration: {
      secrets: { vault: { address, caFile, token: `file://${tokenFile}` }, aws },
      keymgr: {
        backends: {
          token: { type: 'pkcs11', uri },
          cloud: { type: 'aws-kms', region, endpoint, credentials },
        },
      },
    },
    async breakFor(run) {
      const denied = { error: 'AccessDeniedException', status: 400 } as const;
      for (const operation of ['CreateKey', 'DescribeKey', 'Sign', 'ListAliases'])
        proxy.fail(operation, denied);
      await run();
      proxy.mend();
    },
    async stop() {
      await Promise.all([
        proxy.stop(),
        token.remove(),
        bao.stop(),
        rm(folder, { recursive: true }),
      ]);
      await moto.stop();
    },
  };
}

/** Any signature does. */
async function putParameter(
  { endpoint, region }: MotoServer,
  Name: string,
  Value: string,
): Promise<void> {
  const { status } = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'AmazonSSM.PutParameter',
      authorization: `AWS4-HMAC-SHA256 Credential=any/20260101/${region}/ssm/aws4_request, SignedHeaders=host, Signature=any`,
    },
    body: JSON.stringify({ Name, Value, Type: 'SecureString' }),
  });
  if (status !== 200) throw new Error(`moto answered ${status}`);
}
