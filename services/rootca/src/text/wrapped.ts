/** Columns of what people read on a screen or on paper. */
const WIDTH = 78;

/** Words in lines of at most 78 columns, behind a first column; a word that is longer is cut. */
export function wrapped(head: string, text: string): string[] {
  const room = WIDTH - head.length;
  const parts = new RegExp(`.{1,${room}}`, 'gu');
  const lines: string[] = [''];
  for (const word of text.split(' ').flatMap((long) => long.match(parts) ?? [''])) {
    const last = lines.at(-1) as string;
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line, i) => `${i === 0 ? head : ' '.repeat(head.length)}${line}`);
}
