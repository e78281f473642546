import fc from 'fast-check';

/** A command of a model (fast-check's), without the types of its library. */
export type ModelCommand<M extends object, R> = fc.AsyncCommand<M, R>;

/** What is run against its model. */
export interface ModelRun<M extends object, R> {
  /** What may happen; all are as likely. */
  readonly commands: readonly fc.Arbitrary<ModelCommand<M, R>>[];
  /** The most commands of one run. */
  readonly maxCommands: number;
  /** Runs, unless `GIGVAULT_MODEL_RUNS` says how many. */
  readonly runs: number;
  /** A model that knows of nothing yet, and the real thing. */
  begin(): Promise<{ readonly model: M; readonly real: R }>;
  /** What must be true after each run. */
  end?(model: M, real: R): Promise<void>;
}

/** Runs random commands against a service and its model, up to `maxCommands` of them. A failure prints the seed, and the fewest commands that fail. */
export async function runModel<M extends object, R>(options: ModelRun<M, R>): Promise<void> {
  const { begin, end, commands, maxCommands } = options;
  const numRuns = Number(process.env['GIGVAULT_MODEL_RUNS'] ?? options.runs);
  const sequences = fc.commands<M, R>([...commands] as never, { maxCommands, size: 'max' });
  await fc.assert(
    fc.asyncProperty(sequences as never, async (sequence: Iterable<ModelCommand<M, R>>) => {
      const { model, real } = await begin();
      await fc.asyncModelRun(() => ({ model, real }), sequence as never);
      await end?.(model, real);
    }),
    { numRuns },
  );
}
