import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { query } from '@gigvault/database/query';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { lostBackends, lostKeys, prepareMasterKey } from '@gigvault/keymgr/open-keymgr';
import { ROOT_FILES } from '@gigvault/rootca/ceremony/root-files';
import { runCeremony } from '@gigvault/rootca/ceremony/run-ceremony';
import { readPem, readText } from '@gigvault/rootca/commands/root-directory';
import { type Plan, parsePlan, standardPlan } from '@gigvault/rootca/plan/plan';
import { RPC } from '@gigvault/rpc/contracts';
import { systemClock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { fromPem } from '@gigvault/x509/pem';
import type { Pool } from 'pg';
import type { SuiteProcess } from '../composition/one-process.ts';
import { type GigvaultConfig, HSM } from '../gigvault.config.ts';
import type { Progress } from '../report/progress.ts';
import { CA_KEYS, type KeymgrParts, requestCas } from './ca-keys.ts';
import {
  askOfflineRoot,
  ceremonyPapers,
  isRootAwaited,
  offlinePlan,
  openOfflineFolder,
  readHierarchy,
  signedParts,
} from './offline-root.ts';
import { lost, requireFitting, rootLost } from './root-directory.ts';
import { storeHierarchy } from './store-hierarchy.ts';

/** The CAs of an installation. */
export interface Pki {
  /** True when this start made them. */
  readonly isNew: boolean;
  /** As the certificates say it. */
  readonly statusUrl: string;
  readonly rootCertificateFile: string;
  /** Its key lies beside it, encrypted: this machine has made it. */
  readonly hasRootKey: boolean;
  /** DER. */
  readonly rootCertificate: Buffer;
  readonly issuingCertificate: Buffer;
  /** PEM: the anchor of the services' mTLS. */
  readonly servicesCertificate: string;
}

/** What making the CAs needs. */
export interface PkiOptions extends KeymgrParts {
  readonly progress: Progress;
  /** ca's. */
  readonly caPool: Pool;
  /** Shows what is shown once. */
  print(text: string): void;
}

/**
 * The installation's CAs; the first start makes them. A start that died half-way is taken up where it stood: keys are
 * found again, and a root whose certificate was not yet stored is made anew, for nothing was issued under it.
 * Errors: RootAwaited when a root on another machine has the next turn; INVALID_ARGUMENT when the configuration does not fit the
 * certificates, or an offline root's files cannot be used.
 */
export async function preparePki(options: PkiOptions): Promise<Pki> {
  const { config, directory } = options;
  const file = (name: string) => join(directory.root, name);
  const isNew = !existsSync(directory.rootCertificate);
  if (isNew && (await hasIssuers(options.caPool))) throw rootLost(directory);
  await requireKeys(options);
  await prepareMasterKey(config.keymgr, directory.of('keymgr'));
  const isOffline = config.offlineRoot !== undefined || isRootAwaited(directory.root);
  if (isNew) await (isOffline ? takeOfflineRoot(options) : createPki(options));
  else requireThisRoot(config.offlineRoot, directory.rootCertificate);
  const plan = parsePlan(readText(directory.rootPlan));
  const der = (name: string) => readPem(file(name), 'CERTIFICATE');
  return {
    isNew,
    statusUrl: plan.statusUrl,
    rootCertificateFile: directory.rootCertificate,
    hasRootKey: existsSync(file(ROOT_FILES.key)),
    rootCertificate: der(ROOT_FILES.certificate),
    issuingCertificate: der('issuing.crt'),
    servicesCertificate: readText(file('services.crt')),
  };
}

/** Errors: INVALID_ARGUMENT with the keys that are recorded and have lost their files, or their backend. */
async function requireKeys({ config, directory, pool }: PkiOptions): Promise<void> {
  const [away] = await lostBackends(config.keymgr, pool);
  if (away !== undefined)
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The key ${away.keyId} and maybe others are in the key backend '${away.backend}', which is not configured. Start with ${away.backend === HSM ? 'the same --hsm' : `keymgr.backends.${away.backend}`} as before.`,
    );
  const { directory: folder, files } = await lostKeys(config.keymgr, directory.of('keymgr'), pool);
  if (files.length > 0) throw lost(folder, files);
}

/** `ca` knows them from the moment in which the first start has stored the root. Asked of its table: it does not run yet. */
async function hasIssuers(caPool: Pool): Promise<boolean> {
  return (await query(caPool, 'SELECT FROM issuer LIMIT 1')).rowCount !== 0;
}

function configuredPlan(config: GigvaultConfig): Plan {
  return standardPlan({
    organization: config.environment === 'development' ? 'GigVault Dev' : 'GigVault',
    trustDomain: config.trustDomain,
    statusUrl: config.status.publicUrl ?? `http://localhost:${config.http.port}`,
  });
}

/** Root and CAs in one go, unattended. */
async function createPki(options: PkiOptions): Promise<void> {
  const { config, directory, progress } = options;
  const plan = configuredPlan(config);
  const requests = await requestCas(options, plan);
  const result = await progress.step('root CA', async () => {
    const csrs = { issuingCsr: requests.issuing.request, servicesCsr: requests.services.request };
    const value = await runCeremony(plan, csrs, systemClock);
    return {
      say: `ECDSA P-384 · 20 y · offline after this step · SHA256 ${shortFingerprint(value.rootCertificate)}`,
      value,
    };
  });
  await progress.step('issuing CA', async () => ({ say: 'ECDSA P-256 · 5 y', value: undefined }));
  const key = join(directory.root, ROOT_FILES.key);
  options.print(passphraseText(result.passphrase, key));
  await writeFileDurably(key, result.encryptedRootKey, 0o600);
  const hierarchy = {
    root: readCertificate(result.rootCertificate),
    issuing: readCertificate(result.issuingCertificate),
    services: readCertificate(result.servicesCertificate),
    rootCrl: readCertList(result.rootCrl),
  };
  const transcripts = new Map([[ROOT_FILES.transcript as string, result.transcript]]);
  const signed = { plan, requests, hierarchy, transcripts, source: 'What the root signed' };
  await storeHierarchy(directory.root, signed, systemClock.now());
}

/**
 * The same with a root on another machine: asks it, and takes what it has signed.
 * Errors: RootAwaited while it has signed nothing; INVALID_ARGUMENT for files that cannot be used.
 */
async function takeOfflineRoot(options: PkiOptions): Promise<void> {
  const { config, directory, progress } = options;
  const folder = openOfflineFolder(config.offlineRoot, directory.root);
  const plan = offlinePlan(folder, directory.root, () => configuredPlan(config));
  requireFitting(plan, config, 'the plan of the offline root says');
  const requests = await requestCas(options, plan);
  if (signedParts(folder).length === 0)
    throw await askOfflineRoot(folder, directory.root, {
      plan,
      requests,
      keysIn: placeOfKeys(config.keymgr),
    });
  await progress.step('root CA', async () => {
    const taken = { ...readHierarchy(folder), ...ceremonyPapers(folder) };
    const signed = { plan, requests, ...taken, source: `What ${folder} holds` };
    await storeHierarchy(directory.root, signed, systemClock.now());
    const say = `made offline · SHA256 ${shortFingerprint(signed.hierarchy.root.der)}`;
    return { say, value: undefined };
  });
}

function placeOfKeys({ backend, backends }: GigvaultConfig['keymgr']): string {
  const type = backends[backend]?.type;
  if (type === undefined) return 'the data directory';
  return type === 'pkcs11' ? 'the token' : `the key backend '${backend}'`;
}

/** Errors: INVALID_ARGUMENT when the folder does not hold the root that is there already. */
function requireThisRoot(offlineRoot: string | undefined, file: string): void {
  if (offlineRoot === undefined) return;
  const given = join(offlineRoot, ROOT_FILES.certificate);
  const der = (path: string) => readPem(path, 'CERTIFICATE');
  if (existsSync(given) && der(given).equals(der(file))) return;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `This data directory has its root, ${file}, and ${offlineRoot} does not hold it. --offline-root is for the first start: leave it away.`,
  );
}

/** `4F:2A:…:91` of the certificate's SHA-256. */
function shortFingerprint(certificate: Buffer): string {
  const octets = new X509Certificate(certificate).fingerprint256.split(':');
  return `${octets.slice(0, 2).join(':')}:…:${octets.at(-1)}`;
}

/** Tells `ca` of its issuers. Idempotent. */
export async function registerIssuers(suite: SuiteProcess, pki: Pki): Promise<void> {
  const issuer = suite.broker.client('gigvault', RPC.issuer, 'ca');
  const shared = { chain: [pki.rootCertificate], crlShards: 1, statusPublicUrl: pki.statusUrl };
  await issuer.createIssuer({
    ...shared,
    issuerId: 'issuing',
    certificate: pki.issuingCertificate,
    keyId: CA_KEYS.issuing,
    public: true,
  });
  const services = fromPem(pki.servicesCertificate, 'CERTIFICATE')[0] as Buffer;
  await issuer.createIssuer({
    ...shared,
    issuerId: 'services',
    certificate: services,
    keyId: CA_KEYS.services,
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
