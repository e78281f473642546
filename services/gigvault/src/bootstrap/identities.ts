import { existsSync } from 'node:fs';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { readIdentity, storeIdentity } from '@gigvault/host/identity-files';
import { requestIdentity } from '@gigvault/host/identity-renewal';
import { RPC } from '@gigvault/rpc/contracts';
import { isRenewalDue } from '@gigvault/rpc/mtls-identity';
import { type PeerName, SERVICE_NAMES } from '@gigvault/rpc/service-name';
import type { Clock } from '@gigvault/time/clock';
import type { SuiteProcess } from '../composition/one-process.ts';
import type { DataDirectory } from './data-directory.ts';
import type { Pki } from './pki.ts';

/**
 * Gives every peer that lacks a valid mTLS identity, or has lost a file of it, one, by the normal issuance flow over the in-process transport: it
 * works before anything listens, and when everything has expired while it was off (requirement G87), or comes from a start whose clock was ahead.
 */
export async function issueIdentities(options: {
  readonly suite: SuiteProcess;
  readonly directory: DataDirectory;
  readonly pki: Pki;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly split: boolean;
}): Promise<void> {
  const { suite, directory, clock } = options;
  const peers: readonly PeerName[] = options.split
    ? [...SERVICE_NAMES, 'gigvault', 'edge']
    : ['gigvault'];
  await Promise.all(
    peers.map(async (peer) => {
      const files = directory.identity(peer);
      if (!existsSync(files.servicesCa))
        await writeFileDurably(files.servicesCa, options.pki.servicesCertificate, 0o644);
      if (
        [files.privateKey, files.certificate].every(existsSync) &&
        !isRenewalDue(readIdentity(files).certificate, clock.now())
      )
        return;
      await storeIdentity(
        files,
        await requestIdentity(
          suite.broker.client(peer, RPC.issuance, 'ca'),
          peer,
          options.trustDomain,
        ),
      );
    }),
  );
}
