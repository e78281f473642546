import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { flagName, type ReadConfig, readConfig } from '@gigvault/config/load-config';
import { nearest } from '@gigvault/config/nearest';
import { numberedKeys } from '@gigvault/config/numbered-entries';
import { processEnvironment } from '@gigvault/config/process-environment';
import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import {
  flagKeys,
  type GigvaultConfig,
  gigvaultConfig,
  numberedFlagKey,
} from './gigvault.config.ts';
import { translateKeychainVariables } from './keychain-variables.ts';

/** What the command line, the environment and the file ask for. */
export interface Arguments extends ReadConfig<GigvaultConfig> {
  /** `--check-config`. */
  readonly checkOnly: boolean;
}

interface Given {
  /** By the configuration's keys. */
  readonly flags: Record<string, string | boolean>;
  file: string | undefined;
  checkOnly: boolean;
}

/**
 * Flags by the configuration's keys: `--https-port 9000`, `--ephemeral`, `--ra-http01-port=5002`. Errors: INVALID_ARGUMENT for a flag that
 * does not exist, a configuration that is wrong, and in production for a variable that means nothing.
 */
export function readArguments(args: readonly string[]): Arguments {
  const { flags, file, checkOnly } = parse(args);
  const found = file ?? places().find(existsSync);
  const keychain = translateKeychainVariables(processEnvironment);
  if (keychain.refused.length > 0) throw wrongEnvironment(keychain.refused);
  const read = readConfig(gigvaultConfig, {
    flags,
    environment: { ...keychain.environment, ...processEnvironment },
    // GigVault's own variable comes before theirs.
    origins: Object.fromEntries(
      Object.entries(keychain.origins).filter(([ours]) => processEnvironment[ours] === undefined),
    ),
    ...(found === undefined ? {} : { file: found }),
  });
  const unknownVariables = [...keychain.unknown, ...read.unknownVariables];
  if (unknownVariables.length > 0 && read.config.environment === 'production')
    throw wrongEnvironment(unknownVariables);
  return { ...read, unknownVariables, checkOnly };
}

function wrongEnvironment(problems: readonly Problem[]): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', 'The environment is wrong.', { problems });
}

function parse(args: readonly string[]): Given {
  const keys = flagKeys();
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const given: Given = { flags: {}, file: processEnvironment['GIGVAULT_CONFIG'], checkOnly: false };
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token === undefined || token.kind === 'option-terminator') continue;
    if (token.kind === 'positional')
      throw new GigvaultError('INVALID_ARGUMENT', `"${token.value}" is no flag. See --help.`);
    const next = tokens[i + 1];
    const follows = token.value === undefined && next?.kind === 'positional';
    if (follows) i++;
    const value = token.value ?? (follows ? next.value : undefined);
    const key = keys.get(token.name) ?? numberedFlagKey(token.name);
    if (token.name === 'check-config') given.checkOnly = true;
    else if (token.name === 'config') given.file = value ?? needsValue('--config');
    else if (key !== undefined && token.rawName.startsWith('--')) given.flags[key] = value ?? true;
    else throw unknownFlag(token.rawName, flagNames(keys));
  }
  return given;
}

/** What an unknown flag may have been meant as. */
function flagNames(keys: ReadonlyMap<string, string>): string[] {
  const numbered = numberedKeys(gigvaultConfig, '0').map(flagName);
  return [...keys.keys(), ...numbered, 'config', 'check-config', 'help'];
}

function needsValue(flag: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', `${flag} needs a value. See --help.`);
}

function unknownFlag(flag: string, names: readonly string[]): GigvaultError {
  const suggestion = nearest(flag.replace(/^-+/, ''), names);
  const hint = suggestion === undefined ? ' See --help.' : ` Did you mean --${suggestion}?`;
  return new GigvaultError('INVALID_ARGUMENT', `There is no flag ${flag}.${hint}`);
}

/** Where the configuration may lie, the first wins. */
function places(): string[] {
  const home = processEnvironment['XDG_CONFIG_HOME'] || join(homeOrNowhere(), '.config');
  return ['./gigvault.yaml', join(home, 'gigvault', 'config.yaml'), '/etc/gigvault/config.yaml'];
}

function homeOrNowhere(): string {
  try {
    return homedir();
  } catch {
    // No HOME and no line in /etc/passwd: as in a container that runs as any number.
    return '/nonexistent';
  }
}

/** As `GIGVAULT_HTPS_PORT means nothing; did you mean GIGVAULT_HTTPS_PORT?` */
export function warningOf({ pointer, message }: Problem): string {
  return `warning: ${pointer} ${message}\n`;
}
