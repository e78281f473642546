import { systemClock } from '@gigvault/time/clock';
import type { Progress } from './report/progress.ts';

/** Raised between two steps of a start, once somebody has asked for the end; not a failure. */
export class StopAsked extends Error {
  /** 130 for Ctrl-C, as of any program that it ends; 0 for SIGTERM, which asks for just that. */
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('a stop was asked for');
    this.exitCode = exitCode;
  }
}

/** Somebody's wish that this process ends. */
export interface StopRequest {
  /** Resolves at the first SIGINT or SIGTERM. */
  readonly asked: Promise<void>;
  /** The same progress, whose next step is StopAsked once that has happened. */
  between(progress: Progress): Progress;
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
/** Milliseconds. Ctrl-C may arrive twice: from the terminal, and from the npm that started this. */
const SAME_WISH = 1_000;

/** Listens for signals from now on. A second one, later than the echo of the first, ends the process at once. */
export function stopRequest(out: NodeJS.WritableStream): StopRequest {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  let first: { readonly at: number; readonly signal: keyof typeof EXIT_CODES } | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      const now = systemClock.now();
      if (first === undefined) {
        first = { at: now, signal };
        out.write('\n  … draining; once more ends it at once\n');
        resolve();
      } else if (now - first.at > SAME_WISH) {
        out.write('  … ended; the next start recovers the database\n');
        process.exit(EXIT_CODES[signal]);
      }
    });
  }
  return {
    asked,
    between: (progress) => ({
      ...progress,
      async step(name, run) {
        if (first !== undefined) throw new StopAsked(first.signal === 'SIGINT' ? 130 : 0);
        return progress.step(name, run);
      },
    }),
  };
}
