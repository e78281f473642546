import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Operator } from '../ports/operator.ts';

const answersSchema = z.strictObject({
  /** By the question's id, as `clock: yes`. */
  answers: z.record(z.string(), z.union([z.string(), z.boolean()])).default({}),
  /** Of a rehearsal only: a folder instead of the screen; `share.<index>` is written there and read back from there. */
  shareFolder: z.string().optional(),
});

/** Answers that were written down before. */
export type Answers = z.infer<typeof answersSchema>;

/** Errors: INVALID_ARGUMENT for anything else than answers, YAML. */
export function parseAnswers(text: string): Answers {
  try {
    return answersSchema.parse(parse(text, { maxAliasCount: 0 }));
  } catch (cause) {
    const [why] = (cause as Error).message.split('\n', 1);
    throw new GigvaultError('INVALID_ARGUMENT', `The answers file is wrong: ${why}`, { cause });
  }
}

/** Answers from a file, whose content is `text`; what it does not say is asked of `people`. */
export function answeringOperator(
  { answers, shareFolder }: Answers,
  text: string,
  people: Operator,
): Operator {
  const say = (line: string) => people.say(line);
  const shares = shareFolder === undefined ? '' : `; shares were in files of ${shareFolder}`;
  return {
    manner: {
      found: `a file has answered ${Object.keys(answers).length} questions${shares}`,
      text,
    },
    say,
    async ask(question) {
      const answer = answers[question.id];
      if (answer === undefined) return people.ask(question);
      const given = answer === true ? 'yes' : answer === false ? 'no' : answer;
      say(`${question.text} ${given}`);
      return given;
    },
    async showSecret(secret) {
      if (shareFolder === undefined) return people.showSecret(secret);
      await writeFileDurably(join(shareFolder, secret.id), wordsOf(secret.text), 0o600);
      say(`  written to ${join(shareFolder, secret.id)}`);
    },
    async askSecret(question) {
      const path = shareFolder === undefined ? undefined : join(shareFolder, heldId(question.id));
      if (path === undefined || !existsSync(path)) return people.askSecret(question);
      say(`  read back from ${path}`);
      return readFileSync(path, 'utf8');
    },
  };
}

/** The first holder that is asked for is the first who has a share. */
function heldId(id: string): string {
  return id.replace(/^held-/, '');
}

/** What stands above the words is for people. */
function wordsOf(text: string): string {
  return `${text.slice(text.indexOf('\n\n') + 2)}\n`;
}
