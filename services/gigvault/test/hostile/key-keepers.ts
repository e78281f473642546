import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAwsProxy } from '@gigvault/testkit/aws-proxy';
import { startMoto } from '@gigvault/testkit/moto-server';
import { startOpenBao } from '@gigvault/testkit/openbao-server';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';

/** Has AWS's secret key. */
const AWS_KEY_VARIABLE = 'CANARY_AWS_SECRET_KEY';

/** A token whose PIN is in a vault, and AWS KMS, with secrets long enough to be looked for. */
export interface KeyKeepers {
  /** What the PKI's processes are started with: what the token's library reads, and AWS_KEY_VARIABLE. */
  readonly environment: Readonly<Record<string, string>>;
  readonly pin: string;
  readonly vaultToken: string;
  readonly awsSecretKey: string;
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
  const awsSecretKey = randomBytes(20).toString('hex');
  const [token, bao, moto] = await Promise.all([
    softHsmToken({ label: 'canaries', pin }),
    startOpenBao(),
    startMoto(),
  ]);
  const proxy = await startAwsProxy(moto.endpoint);
  await bao.put('gigvault/token', { pin });
  const vaultToken = await bao.tokenFor('gigvault');
  const tokenFile = join(folder, 'vault');
  await writeFile(tokenFile, `${vaultToken}\n`, { mode: 0o600 });
  const { address, caFile } = bao;
  const { endpoint } = proxy;
  const credentials = {
    accessKeyId: 'AKIACANARYCANARY',
    secretAccessKey: `env://${AWS_KEY_VARIABLE}`,
  };
  const place = encodeURIComponent('vault://secret/gigvault/token#pin');
  const uri = token.uri.replace(/pin-source=.*/, `pin-source=${place}`);
  return {
    environment: { ...token.environment, [AWS_KEY_VARIABLE]: awsSecretKey },
    pin,
    vaultToken,
    awsSecretKey,
    configuration: {
      secrets: { vault: { address, caFile, token: `file://${tokenFile}` } },
      keymgr: {
        backends: {
          token: { type: 'pkcs11', uri },
          cloud: { type: 'aws-kms', region: moto.region, endpoint, credentials },
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
