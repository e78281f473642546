/** Progress of a start, on stderr: one line a step. */
export interface Progress {
  /** Runs a step and prints its line with the time it took. `run` returns what to say about it. */
  step<T>(name: string, run: () => Promise<{ say: string; value: T }>): Promise<T>;
  note(text: string): void;
}

/** Progress in the form of product.md A.2. */
export function createProgress(out: NodeJS.WritableStream, now: () => number): Progress {
  return {
    async step(name, run) {
      const start = now();
      const { say, value } = await run();
      const seconds = ((now() - start) / 1000).toFixed(1);
      out.write(`  ✔ ${name.padEnd(15)} ${say.padEnd(66)} ${seconds} s\n`);
      return value;
    },
    note: (text) => void out.write(`${text}\n`),
  };
}
