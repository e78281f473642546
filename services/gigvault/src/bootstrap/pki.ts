import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/host/atomic-file';
import { createCaKey } from '@gigvault/keymgr/keys/create-ca-key';
import { requestCaCertificate } from '@gigvault/keymgr/keys/request-ca-certificate';
import { type Keymgr, openKeymgr, prepareMasterKey } from '@gigvault/keymgr/open-keymgr';
import { runCeremony } from '@gigvault/rootca/ceremony/run-ceremony';
import { ROOT_FILES } from '@gigvault/rootca/commands/root-directory';
import { caSubject, type Plan, parsePlan, standardPlan } from '@gigvault/rootca/plan/plan';
import { RPC } from '@gigvault/rpc/contracts';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { fromPem, toPem } from '@gigvault/x509/pem';
import type { Pool } from 'pg';
import { stringify } from 'yaml';
import type { SuiteProcess } from '../composition/one-process.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';
import type { Progress } from '../report/progress.ts';
import type { DataDirectory } from './data-directory.ts';

/** The CAs of an installation. */
export interface Pki {
  /** True when this start made them. */
  readonly isNew: boolean;
  /** As the certificates say it. */
  readonly statusUrl: string;
  readonly rootCertificateFile: string;
  /** DER. */
  readonly rootCertificate: Buffer;
  readonly issuingCertificate: Buffer;
  /** PEM: the anchor of the services' mTLS. */
  readonly servicesCertificate: string;
}

/** What making the CAs needs. */
export interface PkiOptions {
  readonly config: GigvaultConfig;
  readonly directory: DataDirectory;
  /** keymgr's. */
  readonly pool: Pool;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly progress: Progress;
  /** Shows what is shown once. */
  print(text: string): void;
}

const KEYS = { issuing: 'ca-issuing', services: 'ca-services' } as const;

/**
 * The installation's CAs; the first start makes them. A start that died half-way is taken up where it stood: keys are
 * found again, and a root whose certificate was not yet stored is made anew, for nothing was issued under it.
 * Errors: INVALID_ARGUMENT when `status.publicUrl` is not the one in the certificates.
 */
export async function preparePki(options: PkiOptions): Promise<Pki> {
  const { config, directory } = options;
  const file = (name: string) => join(directory.root, name);
  await prepareMasterKey(config.keymgr, directory.of('keymgr'));
  const isNew = !existsSync(file(ROOT_FILES.certificate));
  if (isNew) await createPki(options);
  const plan = parsePlan(readFileSync(file(ROOT_FILES.plan), 'utf8'));
  if (config.status.publicUrl !== undefined && config.status.publicUrl !== plan.statusUrl) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `status.publicUrl is ${config.status.publicUrl}, but the certificates of ${directory.path} say ${plan.statusUrl}: it is fixed when the CAs are made.`,
    );
  }
  requireReachable(plan.statusUrl, config.http.port, directory.path);
  const der = (name: string) =>
    fromPem(readFileSync(file(name), 'utf8'), 'CERTIFICATE')[0] as Buffer;
  return {
    isNew,
    statusUrl: plan.statusUrl,
    rootCertificateFile: file(ROOT_FILES.certificate),
    rootCertificate: der(ROOT_FILES.certificate),
    issuingCertificate: der('issuing.crt'),
    servicesCertificate: readFileSync(file('services.crt'), 'utf8'),
  };
}

/** `localhost` in certificates means this very listener: on another port nobody finds OCSP, CRLs and issuers. */
function requireReachable(statusUrl: string, httpPort: number, path: string): void {
  const { hostname, port } = new URL(statusUrl);
  if (hostname !== 'localhost' || Number(port || 80) === httpPort || httpPort === 0) return;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `The certificates of ${path} say ${statusUrl}, which is fixed when the CAs are made: start with --http-port ${port || 80}.`,
  );
}

async function createPki(options: PkiOptions): Promise<void> {
  const { config, directory, progress } = options;
  const plan = standardPlan({
    organization: config.environment === 'development' ? 'GigVault Dev' : 'GigVault',
    trustDomain: config.trustDomain,
    statusUrl: config.status.publicUrl ?? `http://localhost:${config.http.port}`,
  });
  const requests = await withKeymgr(options, (keymgr) => createCaKeys(keymgr, plan));
  const result = await progress.step('root CA', async () => {
    const value = await runCeremony(plan, requests, systemClock);
    return {
      say: `ECDSA P-384 · 20 y · offline after this step · SHA256 ${shortFingerprint(value.rootCertificate)}`,
      value,
    };
  });
  await progress.step('issuing CA', async () => ({ say: 'ECDSA P-256 · 5 y', value: undefined }));
  options.print(passphraseText(result.passphrase, join(directory.root, ROOT_FILES.key)));
  const write = (name: string, content: string, mode: number) =>
    writeFileDurably(join(directory.root, name), content, mode);
  write(ROOT_FILES.plan, stringify(plan), 0o644);
  write(ROOT_FILES.key, result.encryptedRootKey, 0o600);
  write(ROOT_FILES.crl, toPem('X509 CRL', result.rootCrl), 0o644);
  write(ROOT_FILES.transcript, result.transcript, 0o644);
  write('issuing.crt', toPem('CERTIFICATE', result.issuingCertificate), 0o644);
  write('services.crt', toPem('CERTIFICATE', result.servicesCertificate), 0o644);
  // Last: a root directory with its certificate is complete.
  write(ROOT_FILES.certificate, toPem('CERTIFICATE', result.rootCertificate), 0o644);
}

/** `4F:2A:…:91` of the certificate's SHA-256. */
function shortFingerprint(certificate: Buffer): string {
  const octets = new X509Certificate(certificate).fingerprint256.split(':');
  return `${octets.slice(0, 2).join(':')}:…:${octets.at(-1)}`;
}

async function createCaKeys(
  keymgr: Keymgr,
  plan: Plan,
): Promise<{ issuingCsr: Buffer; servicesCsr: Buffer }> {
  for (const kind of ['issuing', 'services'] as const) {
    // Left there by a start that died before the root signed.
    if ((await keymgr.keys.keys.find(KEYS[kind])) !== undefined) continue;
    await createCaKey(keymgr.keys, {
      keyId: KEYS[kind],
      keyType: plan[kind].keyType,
      subject: caSubject(plan, kind),
    });
  }
  return {
    issuingCsr: await requestCaCertificate(keymgr.keys, KEYS.issuing),
    servicesCsr: await requestCaCertificate(keymgr.keys, KEYS.services),
  };
}

async function withKeymgr<T>(options: PkiOptions, run: (keymgr: Keymgr) => Promise<T>): Promise<T> {
  const { config, directory, pool, log, metrics } = options;
  const clock: Clock = systemClock;
  return run(
    openKeymgr({
      config: config.keymgr,
      dataDir: directory.of('keymgr'),
      database: pool,
      clock,
      log,
      metrics,
    }),
  );
}

/** Tells `ca` of its issuers. Idempotent. */
export async function registerIssuers(suite: SuiteProcess, pki: Pki): Promise<void> {
  const issuer = suite.broker.client('gigvault', RPC.issuer, 'ca');
  const shared = { chain: [pki.rootCertificate], crlShards: 1, statusPublicUrl: pki.statusUrl };
  await issuer.createIssuer({
    ...shared,
    issuerId: 'issuing',
    certificate: pki.issuingCertificate,
    keyId: KEYS.issuing,
    public: true,
  });
  const services = fromPem(pki.servicesCertificate, 'CERTIFICATE')[0] as Buffer;
  await issuer.createIssuer({
    ...shared,
    issuerId: 'services',
    certificate: services,
    keyId: KEYS.services,
    public: false,
  });
}

function passphraseText(passphrase: string, keyFile: string): string {
  return [
    '',
    '  Passphrase of the root key, shown this once. Keep it on paper: it is asked for when an issuing CA is renewed.',
    `         ${passphrase}`,
    `         (key: ${keyFile})`,
    '',
  ].join('\n');
}
