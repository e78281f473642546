import { createInterface, type Interface } from 'node:readline';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Operator } from '../ports/operator.ts';

/** A terminal's two directions. */
export interface TerminalStreams {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Somebody has pressed Ctrl-C or Ctrl-D at a question. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** The alternate screen keeps no lines that scrolled away; what was on it is gone when it is left (xterm's private mode 1049). */
const ENTER_SCREEN = '\u001b[?1049h\u001b[2J\u001b[H';
const LEAVE_SCREEN = '\u001b[2J\u001b[H\u001b[?1049l';
/** What ends a process unless it listens. */
const ENDING_SIGNALS = ['SIGTERM', 'SIGHUP'] as const;

/** People at a terminal. Errors of its questions: INVALID_ARGUMENT where there is no terminal, InterruptedError. */
export function terminalOperator({ input, output }: TerminalStreams): Operator {
  const say = (text: string) => void output.write(`${text}\n`);

  /** One reader at a time; without a history, in which what was typed would be kept. */
  async function withLines<T>(id: string, use: (next: NextLine) => Promise<T>): Promise<T> {
    if (input.isTTY !== true || output.isTTY !== true) throw nobody(id);
    const lines = createInterface({ input, output, historySize: 0 });
    // Ctrl-Z would leave what is on the screen to whoever comes by.
    lines.on('SIGTSTP', () => undefined);
    try {
      return await use(lineReader(lines));
    } finally {
      lines.close();
    }
  }

  async function alone<T>(id: string, use: (next: NextLine) => Promise<T>): Promise<T> {
    const leave = () => void output.write(LEAVE_SCREEN);
    const end = (signal: NodeJS.Signals) => {
      leave();
      process.kill(process.pid, signal);
    };
    for (const signal of ENDING_SIGNALS) process.once(signal, end);
    try {
      return await withLines(id, async (next) => {
        output.write(ENTER_SCREEN);
        return use(next);
      });
    } finally {
      for (const signal of ENDING_SIGNALS) process.off(signal, end);
      leave();
    }
  }

  return {
    say,
    ask: ({ id, text }) =>
      withLines(id, (next) => {
        const lines = text.split('\n');
        const prompt = lines.pop();
        for (const line of lines) say(line);
        return next(`${prompt} `);
      }),
    async showSecret({ id, text }) {
      await withLines(id, (next) => next('Alone before the screen? Press Enter to see it. '));
      await alone(id, async (next) => {
        say(`${text}\n`);
        await next('Write it down, all of it. Then press Enter: the screen is cleared. ');
      });
    },
    askSecret: ({ id, text }) =>
      alone(id, async (next) => {
        say(`${text}\nAn empty line ends it.\n`);
        const typed: string[] = [];
        for (let line = await next('> '); line.trim() !== ''; line = await next('> ')) {
          typed.push(line);
        }
        return typed.join('\n');
      }),
  };
}

type NextLine = (prompt: string) => Promise<string>;

/** Keeps the lines that come faster than they are asked for: people paste. */
function lineReader(lines: Interface): NextLine {
  const had: string[] = [];
  let isClosed = false;
  let wake: () => void = () => undefined;
  lines.on('line', (line) => {
    had.push(line);
    wake();
  });
  lines.once('close', () => {
    isClosed = true;
    wake();
  });
  return async (prompt) => {
    lines.setPrompt(prompt);
    lines.prompt();
    while (had.length === 0) {
      if (isClosed) throw new InterruptedError('stopped at a question');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return had.shift() as string;
  };
}

function nobody(id: string): GigvaultError {
  return new GigvaultError(
    'INVALID_ARGUMENT',
    `Nobody can be asked here ("${id}"): this is no terminal.`,
  );
}
