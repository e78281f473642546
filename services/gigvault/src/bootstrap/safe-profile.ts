import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import { dnsNameProblem } from '@gigvault/x509/dns-name';
import { hostOf } from '@gigvault/x509/general-name';
import { dataDirOf, type GigvaultConfig } from '../gigvault.config.ts';

/** Refuses what the production profile does not do silently. Errors: INVALID_ARGUMENT saying which setting decides it. */
export function requireSafeProfile(config: GigvaultConfig): void {
  if (config.environment === 'development') return;
  if (config.ra.http01Port !== undefined) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'ra.http01Port can be set in the development environment only: http-01 asks port 80.',
    );
  }
  if (!config.split && !config.singleNode) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'In production, keymgr does not share a process with services that face networks. Use --split, or accept it with --single-node.',
    );
  }
  if (config.publicUrl === undefined || config.status.publicUrl === undefined) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'In production, say what clients use: --public-url https://pki.example.com and --status-public-url http://status.example.com. Both stand in certificates.',
    );
  }
}

/**
 * Refuses the first start in production that would end at a name which no certificate may have, or leaves to a default what one person may do alone (fault T64):
 * whoever has the root's key, approves requests, or destroys keys. A PKI that is there already goes on as it is.
 * @param written the configuration as it was written
 * Errors: INVALID_ARGUMENT with each URL whose name is refused, or each key that must be said.
 */
export function requireFirstStart(
  config: GigvaultConfig,
  written: Readonly<Record<string, unknown>>,
): void {
  if (config.environment === 'development' || isBegun(dataDirOf(config))) return;
  requireNames(config);
  requireDecisions(config, written);
}

/** By the rule of issuance, which comes last: with an offline root, after the ceremony. */
function requireNames({ publicUrl, status, https }: GigvaultConfig): void {
  const urls = {
    // The certificate of another CA has whatever name that CA gives.
    publicUrl: https.tls.certificateFile === undefined ? publicUrl : undefined,
    'status.publicUrl': status.publicUrl,
  };
  const problems = Object.entries(urls).flatMap(([pointer, url]): Problem[] => {
    const problem = url && hostProblem(url);
    return problem ? [{ pointer, message: `is ${url}: ${problem}` }] : [];
  });
  if (problems.length === 0) return;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    'In production, both URLs need a host that a certificate may name.',
    { problems },
  );
}

function hostProblem(url: string): string | undefined {
  const { type, value } = hostOf(url);
  return type === 'dns'
    ? dnsNameProblem(value, { development: false, wildcard: false })
    : undefined;
}

function requireDecisions(
  config: GigvaultConfig,
  written: Readonly<Record<string, unknown>>,
): void {
  const problems: Problem[] = [
    ...(config.offlineRoot === undefined && !config.onlineRoot ? [ROOT] : []),
    ...APPROVALS.filter(({ pointer }) => !isWritten(written, pointer)),
  ];
  if (problems.length === 0) return;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    'In production, say what one person may do alone before a PKI is made.',
    { problems },
  );
}

const ROOT: Problem = {
  pointer: 'offlineRoot',
  message:
    'is missing: --offline-root <folder> for a root on another machine; or accept its key on this one with --online-root',
};

const APPROVALS: readonly Problem[] = [
  {
    pointer: 'ra.approvals',
    message: 'is missing: how many people approve a certificate that policy sends to review',
  },
  {
    pointer: 'keymgr.destruction.approvals',
    message: "is missing: how many people besides who asks approve a key's destruction, or 0",
  },
];

/** There is a root, or one is awaited. */
function isBegun(dataDir: string | undefined): boolean {
  const root = dataDir && join(dataDir, 'root');
  return root !== undefined && existsSync(root) && readdirSync(root).length > 0;
}

function isWritten(written: unknown, key: string): boolean {
  const found = key
    .split('.')
    .reduce<unknown>(
      (node, step) => (node as Record<string, unknown> | undefined)?.[step],
      written,
    );
  return found !== undefined;
}
