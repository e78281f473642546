import { CliFailure } from '../failure.ts';
import type { Action } from '../program/command-spec.ts';

/** `bin/gigvault` runs the server's own program for `up`, before this one is loaded: who comes here started dist/cli.js by hand. */
export const up: Action = async () => {
  throw new CliFailure('this program does not start servers', {
    code: 'INVALID_ARGUMENT',
    tries: [{ command: 'npm run up', note: 'in the folder of GigVault' }],
  });
};
