import { createCaKey } from '@gigvault/keymgr/ca-keys/create-ca-key';
import { requestCaCertificate } from '@gigvault/keymgr/ca-keys/request-ca-certificate';
import { openKeymgr } from '@gigvault/keymgr/open-keymgr';
import { requestedCa } from '@gigvault/rootca/ceremony/sign-subordinate-ca';
import { caSubject, type Plan, type SubordinateKind } from '@gigvault/rootca/plan/plan';
import { processSecrets } from '@gigvault/secrets/process-secrets';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import type { PublicKeyInfo } from '@gigvault/x509/public-key';
import type { Pool } from 'pg';
import type { GigvaultConfig } from '../gigvault.config.ts';
import type { DataDirectory } from './data-directory.ts';

/** The CAs' keys in keymgr. */
export const CA_KEYS: Readonly<Record<SubordinateKind, string>> = {
  issuing: 'ca-issuing',
  services: 'ca-services',
};

/** What keymgr needs before anything listens. */
export interface KeymgrParts {
  readonly config: GigvaultConfig;
  readonly directory: DataDirectory;
  /** keymgr's. */
  readonly pool: Pool;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What the root is asked to sign. */
export interface CaRequest {
  /** PKCS #10, DER. */
  readonly request: Buffer;
  /** The key in it, which keymgr holds. */
  readonly publicKey: PublicKeyInfo;
}

/**
 * The requests of the plan's CAs, for keys that keymgr makes at the first call and finds at each further one. The requests differ from
 * call to call, their keys do not. Errors: INVALID_ARGUMENT when the keys were made for another plan.
 */
export async function requestCas(
  parts: KeymgrParts,
  plan: Plan,
): Promise<Record<SubordinateKind, CaRequest>> {
  const { config, directory, pool, log, metrics } = parts;
  const { keys, close } = await openKeymgr({
    config: config.keymgr,
    dataDir: directory.of('keymgr'),
    database: pool,
    clock: systemClock,
    log,
    metrics,
    secrets: processSecrets(config),
  });
  const requestOf = async (kind: SubordinateKind): Promise<CaRequest> => {
    const keyId = CA_KEYS[kind];
    // Left there by a start that died before the root signed.
    if ((await keys.keys.find(keyId)) === undefined) {
      const { keyType } = plan[kind];
      await createCaKey(keys, { keyId, keyType, subject: caSubject(plan, kind) });
    }
    const request = await requestCaCertificate(keys, keyId);
    return { request, publicKey: requestedCa(plan, kind, request).publicKey };
  };
  try {
    return { issuing: await requestOf('issuing'), services: await requestOf('services') };
  } finally {
    await close();
  }
}
