import { Session } from 'node:inspector/promises';
import { createRequire } from 'node:module';

/**
 * The inputs of which each reaches a block of code that no shorter one reaches, shortest first. `bundle` is the target as one
 * CommonJS file.
 */
export async function minimise(bundle, inputs) {
  const { fuzz } = createRequire(import.meta.url)(bundle);
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const reached = new Set();
  const kept = [];
  for (const input of inputs.toSorted((a, b) => a.length - b.length || Buffer.compare(a, b))) {
    await session.post('Profiler.takePreciseCoverage');
    fuzz(input);
    const { result } = await session.post('Profiler.takePreciseCoverage');
    const before = reached.size;
    for (const block of blocksOf(result, bundle)) reached.add(block);
    if (reached.size > before) kept.push(input);
  }
  session.disconnect();
  return kept;
}

function blocksOf(scripts, bundle) {
  const functions = scripts.filter(({ url }) => url.endsWith(bundle)).flatMap((s) => s.functions);
  return functions
    .flatMap(({ ranges }) => ranges)
    .filter(({ count }) => count > 0)
    .map(({ startOffset, endOffset }) => `${startOffset}-${endOffset}`);
}
