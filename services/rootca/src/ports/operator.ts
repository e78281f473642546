/** Something that is asked. */
export interface Question {
  /** Names it in an answers file, as `clock`. */
  readonly id: string;
  readonly text: string;
}

/** The people at the machine. */
export interface Operator {
  /** How it is answered, when not by people alone: strangers are told. */
  readonly manner?: {
    readonly found: string;
    /** What is answered, as it was written down. */
    readonly text: string;
  };
  /** Shows public lines. */
  say(text: string): void;
  /** The line that was answered. Errors: INVALID_ARGUMENT where nobody can answer. */
  ask(question: Question): Promise<string>;
  /** Shows a secret alone on a screen, until somebody says that it is written down; then the screen is cleared, and no scrolling brings it back. */
  showSecret(secret: Question): Promise<void>;
  /** What was typed, all lines up to an empty one, on a screen that is cleared afterwards. */
  askSecret(question: Question): Promise<string>;
}
