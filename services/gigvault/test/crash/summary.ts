import type { Mode } from '@gigvault/testkit/pki-process';
import { MODES } from '@gigvault/testkit/pki-process';
import type { CrashRun } from './run-crashes.ts';

/** One row: where it was killed, in which mode, how often, and how long until it served again. */
export interface SummaryRow {
  readonly title: string;
  readonly mode: Mode;
  readonly deaths: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly max: number;
  readonly findings: number;
}

/** A run in figures. */
export interface CrashSummary {
  readonly deaths: number;
  readonly findings: number;
  readonly rows: readonly SummaryRow[];
  readonly totals: readonly SummaryRow[];
}

/** Rows by place and mode, and a row for each mode. */
export function summaryOf({ kills, checks }: CrashRun): CrashSummary {
  const row = (title: string, mode: Mode, of: typeof kills): SummaryRow => {
    const times = of.map(({ recovery }) => recovery).sort((a, b) => a - b);
    return {
      title,
      mode,
      deaths: of.reduce((sum, { deaths }) => sum + deaths, 0),
      p50: times[Math.floor(times.length / 2)] ?? Number.NaN,
      max: times.at(-1) ?? Number.NaN,
      findings: of.reduce((sum, { findings }) => sum + findings.length, 0),
    };
  };
  const byMode = MODES.map((mode) => ({ mode, of: kills.filter((kill) => kill.mode === mode) }));
  const modes = byMode.filter(({ of }) => of.length > 0);
  const rows = modes.flatMap(({ mode, of }) =>
    [...Map.groupBy(of, ({ title }) => title)].map(([title, group]) => row(title, mode, group)),
  );
  const totals = modes.map(({ mode, of }) => row('all', mode, of));
  const found = (of: readonly { readonly findings: readonly string[] }[]) =>
    of.reduce((sum, { findings }) => sum + findings.length, 0);
  return {
    deaths: totals.reduce((sum, { deaths }) => sum + deaths, 0),
    findings: found(kills) + found(checks),
    rows: rows.sort((a, b) => (`${a.title}/${a.mode}` < `${b.title}/${b.mode}` ? -1 : 1)),
    totals,
  };
}

/** For people. */
export function crashTable({ deaths, findings, rows, totals }: CrashSummary): string {
  const line = (cells: readonly (string | number)[]) =>
    [
      String(cells[0]).padEnd(34),
      String(cells[1]).padEnd(12),
      ...cells.slice(2).map((cell) => String(cell).padStart(8)),
    ].join(' ');
  return [
    line(['killed at', 'mode', 'deaths', 'p50 ms', 'max ms', 'findings']),
    ...[...rows, ...totals].map((r) => line([r.title, r.mode, r.deaths, r.p50, r.max, r.findings])),
    `${deaths} deaths, ${findings} findings`,
  ].join('\n');
}
