import type { Terminal } from '../terminal.ts';

/** Marks and colours. Meaning is never in the colour alone. */
export interface Style {
  readonly ok: string;
  readonly bad: string;
  readonly warn: string;
  readonly arrow: string;
  readonly ellipsis: string;
  readonly colour: boolean;
  green(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
  bold(text: string): string;
  dim(text: string): string;
}

/** Colour on a terminal, unless `NO_COLOR`, `TERM=dumb` or `--no-color`; `FORCE_COLOR` turns it on. ASCII where the locale is not UTF-8. */
export function styleFor(terminal: Terminal, isTty: boolean, noColor: boolean): Style {
  const colour = wantsColour(terminal.env, isTty, noColor);
  const utf8 = isUtf8(terminal.env);
  const paint = (code: number) => (text: string) =>
    colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    ok: utf8 ? '✔' : 'ok',
    bad: utf8 ? '✖' : 'x',
    warn: '!',
    arrow: utf8 ? '→' : '->',
    ellipsis: utf8 ? '…' : '...',
    colour,
    green: paint(32),
    red: paint(31),
    yellow: paint(33),
    bold: paint(1),
    dim: paint(2),
  };
}

function wantsColour(env: Terminal['env'], isTty: boolean, noColor: boolean): boolean {
  if (noColor || env['NO_COLOR']) return false;
  if (env['FORCE_COLOR'] && env['FORCE_COLOR'] !== '0') return true;
  return isTty && env['TERM'] !== 'dumb';
}

/** A locale that is set and is not UTF-8 gets ASCII; nothing set is taken for UTF-8. */
function isUtf8(env: Terminal['env']): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'];
  return !locale || /utf-?8/i.test(locale);
}
