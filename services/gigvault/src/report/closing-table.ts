import type { BackendConfig } from '@gigvault/keymgr/keymgr.config';
import type { Listeners } from '../composition/serve.ts';
import type { ProcessPorts } from '../composition/split-ports.ts';

/** Types of backends. */
type NewKeys = 'pkcs8' | BackendConfig['type'];

/** What a start tells at its end. */
export interface StartReport {
  readonly publicUrl: string;
  readonly listeners: Listeners;
  readonly metricsAddress: string;
  readonly statusUrl: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly rootCertificate: string;
  /** The root's key lies on this machine, encrypted. */
  readonly hasRootKey: boolean;
  /** Absent once an administrator exists. */
  readonly setupToken: string | undefined;
  readonly environment: 'development' | 'production';
  /** Where new keys are made. Those of before stay where they are. */
  readonly newKeys: NewKeys;
}

const KEYS: Readonly<Record<NewKeys, string>> = {
  memory: 'keys in memory',
  pkcs8: 'software keys',
  pkcs11: 'new keys in a token',
  tpm2: 'new keys in a TPM',
  'aws-kms': 'new keys in AWS KMS',
};

/** The closing table of product.md A.2. */
export function closingTable(report: StartReport): string {
  const rows: [string, string][] = [
    ['ACME', `${report.publicUrl}/acme/directory`],
    ['API docs', `${report.publicUrl}/docs`],
    ['Status', `${report.statusUrl}/ocsp   /crl/…   /ca/…`],
    ['Root', report.rootCertificate],
    ['Data', report.dataDir],
    ['Logs', report.logFile],
    ...listenerRows(report),
  ];
  return [
    '',
    ...rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`),
    '',
    ...setupLines(report),
    ...tries(report).map((line, i) => `  ${i === 0 ? 'Try:' : '    '}   ${line}`),
    `  ${profileLine(report)}`,
    '',
  ].join('\n');
}

function listenerRows({ listeners, metricsAddress }: StartReport): [string, string][] {
  if ('grpc' in listeners)
    return [
      ...keyApiRow(listeners.keyApi),
      ['Services', `localhost:${listeners.grpc} (mTLS gRPC)`],
      ['Metrics', `https://${metricsAddress}:${listeners.metrics}/metrics`],
      ['Admin', `https://127.0.0.1:${listeners.admin}/admin/v1/healthz?verbose`],
    ];
  const edge = listeners.find((ports) => 'keyApi' in ports);
  return [
    ...keyApiRow(edge && 'keyApi' in edge ? edge.keyApi : undefined),
    ['Services', columns('127.0.0.1', 'gRPC', 'admin', 'metrics')],
    ...listeners.map((ports): [string, string] => ['', portColumns(ports)]),
  ];
}

/** People's. */
function keyApiRow(port: number | undefined): [string, string][] {
  return port === undefined ? [] : [['gRPC', `localhost:${port} (keychain.v1, TLS)`]];
}

/** The edge is not on 127.0.0.1 and has others. */
function portColumns(ports: ProcessPorts): string {
  if (!('grpc' in ports))
    return `${ports.service.padEnd(12)} https ${ports.https}, http ${ports.http}, metrics ${ports.metrics}`;
  return columns(ports.service, ports.grpc, ports.admin, ports.metrics);
}

function columns(first: string, ...ports: readonly (string | number)[]): string {
  return first.padEnd(12) + ports.map((port) => String(port).padStart(8)).join('');
}

function setupLines(report: StartReport): string[] {
  if (report.setupToken === undefined) return [];
  return [
    '  First admin (one use, 30 min):',
    `         npx gigvault setup ${report.setupToken}`,
    '',
  ];
}

/** The strict profile issues nothing for names of this machine. */
function tries({ environment }: StartReport): string[] {
  const status = 'npx gigvault status';
  return environment === 'production'
    ? [status]
    : ['npx gigvault cert create api.localhost', status];
}

function profileLine(report: StartReport): string {
  const where = 'grpc' in report.listeners ? 'one process' : 'one process per service';
  const keys = KEYS[report.newKeys];
  if (report.environment === 'production') return `PRODUCTION PROFILE: ${keys}, ${where}.`;
  const profile = `DEV PROFILE: ${keys}, one node, ${where}.`;
  if (!report.hasRootKey) return profile;
  return `${profile} One system user cannot hide the root key from itself: for production, make it on an offline machine (--offline-root).`;
}
