import type { Session } from '../session.ts';

/** What a command does. Resolves to the exit code, 0 when it says nothing; failures are thrown as CliFailure. */
export type Action = (
  session: Session,
  args: readonly string[],
  options: CommandOptions,
) => Promise<number | undefined>;

/** A command's own flags as commander names them: `--key-type` is `keyType`. */
export type CommandOptions = Readonly<
  Record<string, string | boolean | readonly string[] | undefined>
>;

/** One flag. */
export interface OptionSpec {
  /** As `--san <name>`. */
  readonly flags: string;
  readonly description: string;
  /** May be given several times; its value is a list. */
  readonly repeat?: boolean;
  readonly choices?: readonly string[];
  readonly required?: boolean;
}

/** One command. Its code is loaded when it runs. */
export interface CommandSpec {
  /** Noun, verb and arguments, as `cert create <cn>`; no noun for `status`. */
  readonly usage: string;
  readonly summary: string;
  readonly options?: readonly OptionSpec[];
  /** Its result has a PEM form, for `-o pem`. */
  readonly pem?: boolean;
  /** Whole command lines, shown first in the help. */
  readonly examples: readonly string[];
  load(): Promise<Action>;
}

/** The value of a flag that takes one. */
export function textOption(options: CommandOptions, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** The values of a flag that may be repeated. */
export function listOption(options: CommandOptions, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value : [];
}
