import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { FILES, keymgrPaths } from '@gigvault/keymgr/keymgr.config';
import { type Plan, parsePlan } from '@gigvault/rootca/plan/plan';
import type { GigvaultConfig } from '../gigvault.config.ts';
import type { DataDirectory } from './data-directory.ts';

/** Beside the root's certificate, which is stored last, these are there as well. */
const CA_FILES = ['issuing.crt', 'services.crt'];

/** Of a loss with more files the rest is counted. */
const MOST_NAMES = 5;

/**
 * True when something in it has its other half in a database: keys, requests, a root. A start that died before it had a database
 * leaves none of that behind.
 */
export function needsItsDatabase(directory: DataDirectory, config: GigvaultConfig): boolean {
  return [directory.root, keysFolder(directory, config)].some(holdsSomething);
}

function keysFolder(directory: DataDirectory, config: GigvaultConfig): string {
  return keymgrPaths(config.keymgr, directory.of('keymgr')).directory;
}

function holdsSomething(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length > 0;
}

/**
 * Before anything is started: the root's directory is whole, or there is no root yet, and it fits the configuration.
 * Errors: INVALID_ARGUMENT naming what is missing, or the flag that differs from the certificates.
 */
export function checkRootDirectory(directory: DataDirectory, config: GigvaultConfig): void {
  const { root, rootCertificate, rootCrl, rootPlan } = directory;
  if (!existsSync(rootCertificate)) {
    // Written after the root, for the first identities.
    if (existsSync(directory.identity('gigvault').servicesCa)) throw rootLost(directory);
    return;
  }
  // Another file than this one may be what the CRL service publishes.
  const crl = config.crl.rootCrlFile === undefined ? [rootCrl] : [];
  const missing = [rootPlan, ...CA_FILES.map((name) => join(root, name)), ...crl].filter(
    (file) => !existsSync(file),
  );
  if (missing.length > 0) throw lost(root, missing);
  // Made before the root. Which of them there must be is asked of the database later, see requireKeys.
  const keys = keysFolder(directory, config);
  if (config.keymgr.backend === FILES && !holdsSomething(keys))
    throw lost(
      keys,
      ['every key'],
      'holds CAs',
      ' For keys in a token, start with the same --hsm as before.',
    );
  const plan = parsePlan(readFileSync(rootPlan, 'utf8'));
  requireFitting(plan, config, `the certificates of ${directory.path} say`);
}

/** For a data directory that has issued certificates under a root that is not there. */
export function rootLost({ root, rootCertificate }: DataDirectory): GigvaultError {
  return lost(root, [rootCertificate]);
}

/**
 * The refusal of a start whose `folder` lacks these files, by path or by what they are. @param holds what makes them necessary @param hint what else it may be
 */
export function lost(
  folder: string,
  files: readonly string[],
  holds = 'holds CAs',
  hint = '',
): GigvaultError {
  const names = files.slice(0, MOST_NAMES).map((file) => basename(file));
  const more = files.length - names.length;
  const all = [...names, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
  return new GigvaultError(
    'INVALID_ARGUMENT',
    `This data directory ${holds}, but ${folder} has lost ${all}. Nothing was changed. Restore ${files.length === 1 ? 'it' : 'them'} from a backup: docs/operations/database.md.${hint}`,
  );
}

/** Errors: INVALID_ARGUMENT when the configuration says otherwise than the plan. `source` as `the plan says`. */
export function requireFitting(plan: Plan, config: GigvaultConfig, source: string): void {
  const { statusUrl, trustDomain } = plan;
  const fixed = 'which is fixed when the CAs are made';
  const refuse = (why: string): never => {
    throw new GigvaultError('INVALID_ARGUMENT', why);
  };
  if (config.status.publicUrl !== undefined && config.status.publicUrl !== statusUrl)
    refuse(
      `status.publicUrl is ${config.status.publicUrl}, but ${source} ${statusUrl}, ${fixed}: start with --status-public-url ${statusUrl}.`,
    );
  if (config.trustDomain !== trustDomain)
    refuse(
      `trustDomain is ${config.trustDomain}, but ${source} ${trustDomain}, ${fixed}: start with --trust-domain ${trustDomain}.`,
    );
  // `localhost` in certificates means this very listener: on another port nobody finds OCSP, CRLs and issuers.
  const { hostname, port } = new URL(statusUrl);
  const httpPort = config.http.port;
  if (hostname !== 'localhost' || Number(port || 80) === httpPort || httpPort === 0) return;
  refuse(`${capital(source)} ${statusUrl}, ${fixed}: start with --http-port ${port || 80}.`);
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
