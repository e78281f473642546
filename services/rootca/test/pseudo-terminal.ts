import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

/** A program on a terminal of 80 columns, and somebody who reads and types. */
export interface PseudoTerminal {
  /** All that was written; what stands on the alternate screen is between `<screen>` and `</screen>`, other controls are left out. */
  output(): string;
  /** Waits until something new matches, and gives the match; what comes after it is new. Rejects when the program ends first. */
  see(pattern: RegExp): Promise<RegExpExecArray>;
  /** A line, with Enter. */
  type(line: string): void;
  /** Exit code, once the program has ended. */
  ended(): Promise<number | null>;
  /** SIGKILL of the program and all that it has started. */
  kill(): Promise<void>;
}

/** Runs a shell's command under script(1), which is where people's terminals are pseudo ones too. */
export function pseudoTerminal(command: string): PseudoTerminal {
  const child = spawn('script', ['-qefc', `stty cols 80 rows 24; exec ${command}`, '/dev/null'], {
    detached: true,
  });
  let written = '';
  let output = '';
  let read = 0;
  let isOver = false;
  let wake: () => void = () => undefined;
  child.stdout.on('data', (text: Buffer) => {
    written += text.toString();
    output = withoutControls(written);
    wake();
  });
  const exit = once(child, 'close').then(([code]) => {
    isOver = true;
    wake();
    return code as number | null;
  });
  return {
    output: () => output,
    async see(pattern) {
      for (;;) {
        const found = pattern.exec(output.slice(read));
        if (found !== null) {
          read += found.index + found[0].length;
          return found;
        }
        if (isOver) throw new Error(`the program ended without ${pattern}:\n${output.slice(read)}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    type: (line) => void child.stdin.write(`${line}\r`),
    ended: () => exit,
    async kill() {
      // Its number may be another's by now.
      if (isOver) return;
      // script puts what it runs in a session of its own; with its terminal gone that ends too, but by SIGHUP.
      for (const pid of descendants(child.pid as number).reverse()) process.kill(pid, 'SIGKILL');
      await exit;
    },
  };
}

const ESCAPE = String.fromCharCode(0x1b);
const CONTROL = new RegExp(`${ESCAPE}\\[[0-9;?]*[A-Za-z]`, 'g');

function withoutControls(written: string): string {
  return written
    .replaceAll(`${ESCAPE}[?1049h`, '<screen>')
    .replaceAll(`${ESCAPE}[2J${ESCAPE}[H${ESCAPE}[?1049l`, '</screen>')
    .replaceAll(CONTROL, '')
    .replaceAll('\r\n', '\n');
}

/** The process and all that it has started, parents first (proc_pid_stat(5)). */
function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [, parent] =
          /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
        return parent === undefined ? [] : [[Number(name), Number(parent)] as const];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
  const found = [pid];
  for (const one of found)
    found.push(...parents.filter(([, parent]) => parent === one).map(([child]) => child));
  return found;
}
