import { parseArgs } from 'node:util';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import { startFailure, toldFailure } from './start-failure.ts';

describe('what a process has told of its start', () => {
  it('is its error again, among whatever else it has said', () => {
    const { line } = startFailure(new GigvaultError('KEY_NOT_FOUND', 'There is no key k.'));
    expect(toldFailure(`(node:7) a warning\n${line}\n`)).toMatchObject({
      code: 'KEY_NOT_FOUND',
      message: 'There is no key k.',
    });
    expect(toldFailure('error: no memory')).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'no memory',
    });
    expect(toldFailure('Segmentation fault')).toBeUndefined();
  });
});

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

  it('says nothing twice', () => {
    const said = 'DNS name "x" is refused: it has a single label.';
    const problems = [
      { pointer: '/names/0', message: said },
      { pointer: '/names/1', message: 'It is empty.' },
      { pointer: '/names/2', message: 'is missing' },
    ];
    const { line } = startFailure(new GigvaultError('REJECTED_IDENTIFIER', said, { problems }));
    expect(line).toBe(
      `error: ${said} /names/1: It is empty. /names/2: is missing.   GV-REJECTED-IDENTIFIER`,
    );
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
