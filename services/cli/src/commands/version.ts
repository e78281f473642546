import type { Action } from '../program/command-spec.ts';

/** Shows the version of the command itself. */
export const version: Action = async ({ terminal, output }) => {
  await output.result({
    data: { name: 'gigvault', version: terminal.version },
    names: [terminal.version],
    text: () => `gigvault ${terminal.version}\n`,
  });
};
