import { FAULTS, LESSONS, NOT_BUILT } from './faults.ts';
import type { Page, Section } from './table.ts';

/** A file of tests. */
export interface TestFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
}

const COVERS = /covers: ([A-Z]+\d+(?:, [A-Z]+\d+)*)/g;
const ROW = /^[TL]\d+$/;

/** Faults with the tests that name them. Throws for a row without a test, and for a test of a row that is not listed as built. */
export function faultsPage(tests: readonly TestFile[]): Page {
  const covered = testsByRow(tests);
  const built = { ...FAULTS, ...LESSONS };
  const untested = Object.keys(built).filter((row) => !covered.has(row));
  if (untested.length > 0) throw new Error(`no test says "covers: ${untested.join(', ')}"`);
  const unlisted = [...covered.keys()].filter((row) => !(row in built));
  if (unlisted.length > 0)
    throw new Error(`scripts/reference/faults.ts does not say what ${unlisted.join(', ')} is`);
  return {
    title: 'Faults',
    about: 'What happens when something goes wrong, and the tests that show it.',
    sections: [
      proved('Faults and bad input', FAULTS, covered),
      proved('Lessons from incidents of other CAs', LESSONS, covered),
      {
        heading: 'Not built yet',
        columns: ['row', 'what is missing'],
        rows: Object.entries(NOT_BUILT),
      },
    ],
  };
}

/** The files that name a row, by row. */
function testsByRow(tests: readonly TestFile[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { path, text } of tests) {
    const ids = [...text.matchAll(COVERS)].flatMap(([, list = '']) => list.split(', '));
    for (const id of new Set(ids.filter((one) => ROW.test(one))))
      found.set(id, [...(found.get(id) ?? []), path]);
  }
  return found;
}

function proved(
  heading: string,
  rows: Readonly<Record<string, string>>,
  covered: ReadonlyMap<string, readonly string[]>,
): Section {
  return {
    heading,
    columns: ['row', 'what holds', 'tests'],
    rows: Object.entries(rows).map(([row, what]) => [
      row,
      what,
      (covered.get(row) ?? []).map(link).join(', '),
    ]),
  };
}

function link(path: string): string {
  const name = path.replace(/\.(test|contract)\.ts$/, '').replace(/\/(src|test)\//, '/');
  return `[${name}](../../${path})`;
}
