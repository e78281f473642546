import type { Terminal } from '../terminal.ts';
import { type Style, styleFor } from './style.ts';

/** How results are written. */
export type OutputFormat = 'table' | 'json' | 'yaml' | 'name' | 'pem';

/** All values of `--output`. */
export const OUTPUT_FORMATS: readonly OutputFormat[] = ['table', 'json', 'yaml', 'name', 'pem'];

/** A result in all its forms. */
export interface Result {
  /** What json and yaml show: a stable, documented object. */
  readonly data: object;
  /** What `-o name` and `-q` show: one id a line. */
  readonly names: readonly string[];
  /** What `-o pem` shows, of commands that have it. */
  readonly pem?: string;
  /** What people read; ends in a newline. */
  text(style: Style): string;
}

/** Where a command's results and notices go. */
export interface Output {
  readonly format: OutputFormat;
  /** For stdout. */
  readonly style: Style;
  /** For stderr. */
  readonly noticeStyle: Style;
  /** Writes the result to stdout. */
  result(result: Result): Promise<void>;
  /** One line for people, on stderr; silent with `-q`. */
  notice(line: string): void;
}

/** Choices of the global flags. */
export interface OutputOptions {
  readonly format: OutputFormat;
  readonly quiet: boolean;
  readonly noColor: boolean;
}

/** The output of one run. */
export function createOutput(terminal: Terminal, options: OutputOptions): Output {
  const style = styleFor(terminal, terminal.stdoutIsTty, options.noColor);
  const format = options.quiet ? 'name' : options.format;
  const noticeStyle = styleFor(terminal, terminal.stderrIsTty, options.noColor);
  return {
    format,
    style,
    noticeStyle,
    async result(result) {
      terminal.writeOut(await rendered(format, result, style));
    },
    notice(line) {
      if (!options.quiet) terminal.writeErr(noticeStyle.shown(`${line}\n`));
    },
  };
}

async function rendered(format: OutputFormat, result: Result, style: Style): Promise<string> {
  if (format === 'table') return style.shown(result.text(style));
  if (format === 'name') return result.names.map((name) => `${name}\n`).join('');
  if (format === 'pem') return result.pem ?? '';
  if (format === 'json') return `${JSON.stringify(result.data, undefined, 2)}\n`;
  const { stringify } = await import('yaml');
  return stringify(result.data, { lineWidth: 0 });
}
