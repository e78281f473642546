import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { GigvaultConfig } from '../gigvault.config.ts';

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
