import { inSpan } from './span.ts';

/** What a test may do before and after a durable step: nothing, or end the process. */
export type FaultHook = (step: string, moment: 'before' | 'after') => void | Promise<void>;

let hook: FaultHook | undefined;

/** Installs the process's fault hook. Called once, at start, and only in the development environment. */
export function installFaultHook(newHook: FaultHook | undefined): void {
  hook = newHook;
}

/**
 * Runs one step after which something is true that was not true before: a commit, a recorded signature, a published file.
 * It is a span of the trace, and the place where tests make the process die.
 *
 * @param name `<service>.<what becomes durable>`, as `ca.intent`.
 */
export async function durableStep<T>(name: string, run: () => Promise<T>): Promise<T> {
  return inSpan(name, async () => {
    if (hook) await hook(name, 'before');
    const result = await run();
    if (hook) await hook(name, 'after');
    return result;
  });
}
