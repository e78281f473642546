/**
 * Prints `Tests: N passed, N failed` as the very last line. A suite that cannot run counts as one failure.
 *
 * @public jest.config.mjs names it.
 */
export default class ClosingLine {
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests + results.numTodoTests;
    this.line = `Tests: ${results.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
    process.once('exit', () => process.stdout.write(`${this.line}\n`));
  }
}
