import { stripVTControlCharacters } from 'node:util';
import type { Style } from './style.ts';

/** One column: its head, and the cell of an item. */
export interface Column<T> {
  readonly head: string;
  cell(item: T): string;
}

/** Rows under heads, two spaces between columns, nothing cut and no boxes: as readable by people as by `awk`. */
export function table<T>(columns: readonly Column<T>[], items: readonly T[], style: Style): string {
  const rows = items.map((item) => columns.map((column) => printable(column.cell(item)) || '-'));
  const heads = columns.map((column) => column.head);
  const widths = heads.map((head, i) =>
    Math.max(head.length, ...rows.map((row) => width(row[i] ?? ''))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell + ' '.repeat((widths[i] ?? 0) - width(cell)))
      .join('  ')
      .trimEnd();
  return `${[style.bold(line(heads)), ...rows.map(line)].join('\n')}\n`;
}

/** `name  value` lines with the values under one another; a field without a value is left out. */
export function fieldLines(fields: readonly (readonly [string, string])[], style: Style): string {
  const widest = Math.max(...fields.map(([name]) => name.length));
  return fields
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${style.dim(name.padEnd(widest))}  ${printable(value)}\n`)
    .join('');
}

/** Columns on a terminal that the text takes. */
export function width(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** Text from a server or a certificate with its control characters made visible, so that it cannot steer the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '�');
}
