import type { Clock } from '@gigvault/time/clock';

/** Everything outside the program: tests hand in their own. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  readonly cwd: string;
  readonly clock: Clock;
  readonly version: string;
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  readonly stdinIsTty: boolean;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  writeOut(text: string): void;
  writeErr(text: string): void;
  /** Shows the question on stderr and returns the answered line. Only asked when stdin is a terminal. */
  ask(question: string): Promise<string>;
  /** The same, and what is typed is not shown. */
  askSecret(question: string): Promise<string>;
  /** Runs `gigvault rootca <args>` of this installation to its end. @param input for its stdin */
  runRootca(args: readonly string[], input: string): Promise<RootcaRun>;
}

/** What a program left behind. */
export interface RootcaRun {
  readonly code: number;
  readonly stderr: string;
}
