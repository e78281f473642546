import { parseArgs } from 'node:util';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import { startFailure } from './start-failure.ts';

describe('why a start failed', () => {
  it('is one line with the error’s code, and its exit code', () => {
    const error = new GigvaultError('CONFLICT', 'Port 9090 is in use.');
    expect(startFailure(error)).toEqual({
      line: 'error: Port 9090 is in use.   GV-CONFLICT',
      exitCode: 6,
    });
  });

  it('is the message of an error that is not ours, in one line', () => {
    expect(startFailure(new Error('policy has no handler\n  for x'))).toEqual({
      line: 'error: policy has no handler for x   GV-INTERNAL',
      exitCode: 1,
    });
  });

  it('is a matter of usage when a flag is wrong', () => {
    let refused: unknown;
    try {
      parseArgs({ args: ['--confg'], options: {}, strict: true });
    } catch (error) {
      refused = error;
    }
    expect(startFailure(refused)).toMatchObject({
      line: expect.stringContaining("'--confg'"),
      exitCode: 2,
    });
  });
});
