/** What a start tells at its end. */
export interface StartReport {
  readonly publicUrl: string;
  readonly grpcPort: number | undefined;
  readonly statusUrl: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly rootCertificate: string;
  readonly adminUrl: string | undefined;
  readonly metricsUrl: string | undefined;
  /** Absent once an administrator exists. */
  readonly setupToken: string | undefined;
  readonly environment: 'development' | 'production';
  readonly split: boolean;
}

/** The closing table of product.md A.2. */
export function closingTable(report: StartReport): string {
  const rows: [string, string][] = [
    ['ACME', `${report.publicUrl}/acme/directory`],
    ['API docs', `${report.publicUrl}/docs`],
    ...(report.grpcPort === undefined
      ? [
          ['gRPC, health', `an address for each service, in ${report.dataDir}/services/*.yaml`] as [
            string,
            string,
          ],
        ]
      : [['gRPC', `localhost:${report.grpcPort} (mTLS)`] as [string, string]]),
    ['Status', `${report.statusUrl}/ocsp   /crl/…   /ca/…`],
    ['Root', report.rootCertificate],
    ['Data', report.dataDir],
    ['Logs', report.logFile],
    ...(report.metricsUrl === undefined
      ? []
      : [['Metrics', report.metricsUrl] as [string, string]]),
    ...(report.adminUrl === undefined
      ? []
      : [['Admin', `${report.adminUrl}/admin/v1/healthz?verbose`] as [string, string]]),
  ];
  return [
    '',
    ...rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`),
    '',
    ...setupLines(report),
    '  Try:   npx gigvault cert create api.localhost',
    '         npx gigvault status',
    `  ${profileLine(report)}`,
    '',
  ].join('\n');
}

function setupLines(report: StartReport): string[] {
  if (report.setupToken === undefined) return [];
  return [
    '  First admin (one use, 30 min):',
    `         npx gigvault setup ${report.setupToken}`,
    '',
  ];
}

function profileLine(report: StartReport): string {
  const where = report.split ? 'one process per service' : 'one process';
  if (report.environment === 'production') return `PRODUCTION PROFILE: software keys, ${where}.`;
  return `DEV PROFILE: software keys, one node, ${where}. One system user cannot hide the root key from itself: for production, keep it on an offline machine.`;
}
