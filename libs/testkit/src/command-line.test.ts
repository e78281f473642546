import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from '@jest/globals';
import { REPOSITORY } from './pki-process.ts';
import { runProgram } from './run-program.ts';

const MODULE = pathToFileURL(join(REPOSITORY, 'libs', 'testkit', 'src', 'command-line.ts'));
const SOURCE = `
  import { commandLine } from '${MODULE}';
  const { values } = commandLine('npm run it [-- --n 1]', { options: { n: { type: 'string' } } });
  console.log('runs', values.n);`;

const run = (...args: string[]) =>
  runProgram(process.execPath, ['--input-type=module', '-e', SOURCE, '--', ...args]);

it('tells its usage when it is asked for it, and when it is not kept to', async () => {
  const usage = 'npm run it [-- --n 1]\n';
  expect(await run('--n', '7')).toMatchObject({ code: 0, stdout: 'runs 7\n' });
  for (const args of [['--help'], ['--n', '7', '--help']])
    expect(await run(...args)).toMatchObject({ code: 0, stdout: `Usage: ${usage}`, stderr: '' });
  expect(await run('--wrong')).toMatchObject({
    code: 2,
    stdout: '',
    stderr: `error: Unknown option '--wrong'\n${usage}`,
  });
});
