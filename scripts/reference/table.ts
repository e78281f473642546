/** A page of docs/reference: a title, what it is, and tables. */
export interface Page {
  readonly title: string;
  readonly about: string;
  readonly sections: readonly Section[];
}

/** A table under a heading; '' for none. */
export interface Section {
  readonly heading: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The page as Markdown. */
export function toMarkdown({ title, about, sections }: Page): string {
  const parts = sections.map(({ heading, columns, rows }) =>
    [
      ...(heading === '' ? [] : [`## ${heading}`, '']),
      line(columns),
      line(columns.map(() => '---')),
      ...rows.map(line),
    ].join('\n'),
  );
  const note = '<!-- Made by scripts/reference.test.ts. Do not edit. -->';
  return `${[note, `# ${title}`, about, ...parts].join('\n\n').trimEnd()}\n`;
}

/** As code. */
export function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
