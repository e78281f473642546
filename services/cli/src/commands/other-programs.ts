import { usage } from '../failure.ts';
import type { Action } from '../program/command-spec.ts';

// `bin/gigvault` runs the programs of these before this one is loaded: who comes here started dist/cli.js by hand.

/** `gigvault up`. */
export const up: Action = async () => {
  throw usage('this program does not start servers', {
    command: 'npm run up',
    note: 'in the folder of GigVault',
  });
};

/** `gigvault rootca …`, `init`, `ceremony verify`. */
export const rootca: Action = async () => {
  throw usage('this program has no root', {
    command: 'services/cli/bin/gigvault rootca --help',
    note: 'in the folder of GigVault; so are init and ceremony',
  });
};
