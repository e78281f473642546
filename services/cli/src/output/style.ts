import type { Terminal } from '../terminal.ts';

/** Marks and colours. Meaning is never in the colour alone. */
export interface Style {
  readonly ok: string;
  readonly bad: string;
  readonly warn: string;
  readonly colour: boolean;
  green(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
  bold(text: string): string;
  dim(text: string): string;
  /** The text in what the terminal's locale can show: marks and arrows become ASCII where it is not UTF-8. */
  shown(text: string): string;
}

const ASCII: Readonly<Record<string, string>> = {
  '✔': 'ok',
  '✖': 'x',
  '→': '->',
  '←': '<-',
  '…': '...',
};

/** Colour on a terminal, unless `NO_COLOR`, `TERM=dumb` or `--no-color`; `FORCE_COLOR` turns it on. ASCII where the locale is not UTF-8. */
export function styleFor(terminal: Terminal, isTty: boolean, noColor: boolean): Style {
  const colour = wantsColour(terminal.env, isTty, noColor);
  const utf8 = isUtf8(terminal.env);
  const paint = (code: number) => (text: string) =>
    colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    ok: '✔',
    bad: '✖',
    warn: '!',
    colour,
    green: paint(32),
    red: paint(31),
    yellow: paint(33),
    bold: paint(1),
    dim: paint(2),
    shown: (text) => (utf8 ? text : text.replace(/[✔✖→←…]/g, (mark) => ASCII[mark] ?? mark)),
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
