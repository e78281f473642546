import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** What takes back each thing that was started, oldest first. */
export type Undo = (() => Promise<void>)[];

/** Takes everything back, newest first. Errors: INTERNAL once all was tried, with what failed. */
export async function runAll(undo: Undo): Promise<void> {
  const failures: unknown[] = [];
  for (const step of undo.splice(0).reverse()) {
    await step().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0)
    throw new GigvaultError('INTERNAL', 'The stop was not clean.', {
      cause: new AggregateError(failures),
    });
}
