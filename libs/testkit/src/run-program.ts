import { execFile } from 'node:child_process';

/** What a program said. */
export interface ProgramResult {
  /** Exit code; -1 when it was killed or could not be started. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run it. */
export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** For stdin, which is closed afterwards. */
  readonly input?: string | Buffer;
  /** Milliseconds; default 60 s. */
  readonly timeout?: number;
}

/** Runs a program to its end, without a terminal. Never rejects: the exit code tells, and a missing program says so on `stderr`. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      {
        env: options.env as NodeJS.ProcessEnv,
        cwd: options.cwd,
        timeout: options.timeout ?? 60_000,
        maxBuffer: 32 * 1024 * 1024,
      },
      (error, stdout, stderr) => {
        const code = typeof error?.code === 'number' ? error.code : error ? -1 : 0;
        resolve({
          code,
          stdout,
          stderr: code === -1 ? `${stderr}${error?.message ?? ''}` : stderr,
        });
      },
    );
    // A program that does not read its input may end before all of it is written.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input);
  });
}

/** As runProgram; rejects with everything that the program said unless it ends with 0. Resolves with its stdout. */
export async function runOrFail(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await runProgram(program, args, options);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
}
