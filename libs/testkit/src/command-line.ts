import { type ParseArgsConfig, parseArgs } from 'node:util';

/**
 * What the command line of one of the repository's programs says. Ends the process with the usage: with 0 for `--help`, with 2 and the reason when it
 * says something else.
 */
export function commandLine<T extends ParseArgsConfig>(
  usage: string,
  config: T,
): ReturnType<typeof parseArgs<T>> {
  if (process.argv.includes('--help')) {
    process.stdout.write(`Usage: ${usage}\n`);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    // Its first sentence; the others are about how to write such a program.
    const [what] = (error as Error).message.split('. ');
    process.stderr.write(`error: ${what}\n${usage}\n`);
    process.exit(2);
  }
}
