import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  type Context,
  type Contexts,
  configFolder,
  contextFolder,
  isWrittenByUp,
  readContexts,
  writeContexts,
  writePrivateFile,
} from '@gigvault/cli/context/contexts-file';
import { forgetLog } from '@gigvault/cli/context/known-logs';
import { processEnvironment } from '@gigvault/config/process-environment';
import { systemClock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Pki } from './bootstrap/pki.ts';
import type { Ground } from './composition/ground.ts';
import type { Serving } from './composition/serve.ts';

/** The `gigvault` command's way in, for whoever ran `up`. */
export interface CliAccess {
  /** The context of this PKI, when the command stays with `current`, which is another server's. */
  readonly aside: { readonly name: string; readonly current: string } | undefined;
  /** Replaces the credential while `up` runs. */
  readonly worker: Worker;
  /** Ends the worker, and removes the context of an ephemeral PKI with its files: nobody can reach it any more. */
  close(): Promise<void>;
}

/**
 * Lets the `gigvault` command of whoever ran `up` work at once: a context of mode 0600 with a short-lived credential. The
 * context is `local`; a second data directory of the same person gets one of its own, and an ephemeral PKI one that goes with it.
 */
export async function openCliAccess(
  ground: Ground,
  serving: Serving,
  pki: Pki,
  apiKey: string,
): Promise<CliAccess> {
  const { config, publicUrl, log } = ground;
  const { token, audit } = serving.clients;
  const folder = configFolder({ env: processEnvironment, homeDir: homedir() });
  const before = await readContexts(folder);
  const name = contextName(before, pki.rootCertificateFile, config.ephemeral, config.https.port);
  const apiKeyFile = join('contexts', name, 'api-key');
  const { certificateFile } = config.https.tls;
  const root = readFileSync(pki.rootCertificateFile, 'utf8');
  const context: Context = {
    server: publicUrl,
    caFile: pki.rootCertificateFile,
    rootFingerprint: new X509Certificate(root).fingerprint256.replaceAll(':', '').toLowerCase(),
    ...(certificateFile === undefined ? {} : { serverCertificateFile: certificateFile }),
    apiKeyFile,
    environment: config.environment,
    auditPublicKey: (await audit.getCheckpoint({})).publicKey.toString('base64'),
  };
  await writePrivateFile(join(folder, apiKeyFile), apiKey);
  const current = keepsCurrent(before) && !config.ephemeral ? before.current : name;
  const chosen = current === name ? context : before.contexts[current];
  await writeContexts(folder, {
    current,
    contexts: { ...before.contexts, [name]: context },
  });
  let rounds = 0;
  const worker = periodic({
    name: 'gigvault.operator-credential',
    clock: systemClock,
    interval: config.auth.operatorKeyLifetime / 2,
    async round() {
      // The first round would replace what was just written.
      if (rounds++ === 0) return;
      // Somebody removed it: a credential without a context would be left behind.
      if (!Object.hasOwn((await readContexts(folder)).contexts, name)) return;
      const renewed = await token.createBootstrapCredentials({});
      await writePrivateFile(join(folder, apiKeyFile), renewed.operatorApiKey);
    },
    onError: (error) => log.warn({ error }, "the operator's credential could not be renewed"),
  });
  return {
    aside: chosen !== undefined && isSameServer(chosen, context) ? undefined : { name, current },
    worker,
    async close() {
      // A round that still runs would write the credential again.
      await worker.stop();
      if (!config.ephemeral) return;
      const now = await readContexts(folder);
      const { [name]: _gone, ...contexts } = now.contexts;
      await writeContexts(folder, {
        current: now.current === name ? before.current : now.current,
        contexts,
      });
      await rm(contextFolder(folder, name), { recursive: true, force: true });
      await forgetLog(folder, context.auditPublicKey ?? '');
    },
  };
}

function contextName(file: Contexts, caFile: string, ephemeral: boolean, port: number): string {
  if (ephemeral) return `ephemeral-${port}`;
  const local = file.contexts['local'];
  return local === undefined || local.caFile === caFile ? 'local' : `local-${port}`;
}

function isSameServer(one: Context, other: Context): boolean {
  return one.caFile === other.caFile || one.rootFingerprint === other.rootFingerprint;
}

/** A person who chose another server keeps it; another `up` of this machine does not. */
function keepsCurrent({ current }: Contexts): boolean {
  return current !== '' && !isWrittenByUp(current);
}
