/** Raised when the root's machine has the next turn; not a failure. */
export class RootAwaited extends Error {
  /** What a person does now. */
  readonly instructions: string;

  constructor(instructions: string) {
    super('the root is awaited');
    this.instructions = instructions;
  }
}
