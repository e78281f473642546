import type { CliFailure, Fact } from '../failure.ts';
import type { Style } from './style.ts';
import { printable, width } from './table.ts';

const CODE_COLUMN = 63;

/** A failure as people read it: what failed with its code, each fact, what to try, where to look. */
export function errorText(failure: CliFailure, style: Style): string {
  const message = `error: ${printable(failure.message)}`;
  const gap = ' '.repeat(Math.max(2, CODE_COLUMN - width(message)));
  const more = `  more  ${failure.more}${failure.traceId ? `      trace ${failure.traceId}` : ''}`;
  const lines = [
    `${style.red(style.bold('error:'))}${message.slice(6)}${gap}${style.dim(failure.shownCode)}`,
    ...factLines(failure.facts, style),
    ...tryLines(failure),
    more,
  ];
  return style.shown(`${lines.join('\n')}\n`);
}

function factLines(facts: readonly Fact[], style: Style): string[] {
  const widest = Math.max(0, ...facts.map(({ subject }) => width(printable(subject))));
  return facts.map(({ subject, text }) => {
    const shown = printable(subject);
    const pad = widest === 0 ? '' : `${shown}${' '.repeat(widest - width(shown))}   `;
    return `  ${style.red(style.bad)} ${pad}${printable(text)}`;
  });
}

function tryLines({ tries }: CliFailure): string[] {
  const widest = Math.max(0, ...tries.map(({ command }) => command.length));
  return tries.map(({ command, note }, index) => {
    const text = note ? `${command.padEnd(widest)}   (${note})` : command;
    return `${index === 0 ? '  try   ' : '        '}${text}`;
  });
}
