import type { Operator, Question } from '../src/ports/operator.ts';

/** People who do as the script says, and remember what they were shown. */
export interface ScriptedOperator extends Operator {
  /** Everything public. */
  readonly said: string[];
  /** Secrets by id, the newest one each: what holders have on paper. */
  readonly paper: Map<string, string>;
  /** All questions, and what is said where only one sees it. */
  readonly whispered: string[];
  /** Ids in the order in which they were asked. */
  readonly asked: string[];
}

/** What people answer; undefined: yes, and what stands on their paper. */
export type Script = (question: Question, paper: ReadonlyMap<string, string>) => string | undefined;

/** People at an imagined machine. They keep their papers over several ceremonies when they are given them. */
export function scriptedOperator(
  script: Script = () => undefined,
  paper: Map<string, string> = new Map(),
): ScriptedOperator {
  const said: string[] = [];
  const asked: string[] = [];
  const whispered: string[] = [];
  const answer = (question: Question) => {
    whispered.push(question.text);
    asked.push(question.id);
    return script(question, paper);
  };
  return {
    said,
    paper,
    asked,
    whispered,
    say: (text) => void said.push(text),
    ask: async (question) => answer(question) ?? 'yes',
    async showSecret({ id, text }) {
      asked.push(`show ${id}`);
      paper.set(id, text.slice(text.indexOf('\n\n')));
    },
    async askSecret(question) {
      return answer(question) ?? paper.get(question.id.replace(/^held-/, '')) ?? '';
    },
  };
}
