import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAwsProxy } from '@gigvault/testkit/aws-proxy';
import { startMoto } from '@gigvault/testkit/moto-server';
import { startOpenBao } from '@gigvault/testkit/openbao-server';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import type { TestToken } from '@gigvault/testkit/test-token';

/** A token whose PIN is in a vault, and AWS KMS, with secrets long enough to be looked for. */
export interface KeyKeepers {
  readonly token: TestToken;
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
  const secretFile = async (name: string, secret: string) => {
    const path = join(folder, name);
    await writeFile(path, `${secret}\n`, { mode: 0o600 });
    return `file://${path}`;
  };
  const { address, caFile } = bao;
  const { endpoint } = proxy;
  const credentials = {
    accessKeyId: 'AKIACANARYCANARY',
    secretAccessKey: await secretFile('aws', awsSecretKey),
  };
  const uri = token.uri.replace(/pin-source=.*/, 'pin-source=vault://secret/gigvault/token%23pin');
  return {
    token,
    pin,
    vaultToken,
    awsSecretKey,
    configuration: {
      secrets: { vault: { address, caFile, token: await secretFile('vault', vaultToken) } },
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
