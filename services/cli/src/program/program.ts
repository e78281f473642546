import { Command, Option } from 'commander';
import { OUTPUT_FORMATS } from '../output/output.ts';
import type { GlobalOptions } from '../session.ts';
import type { Terminal } from '../terminal.ts';
import { ACCESS_COMMANDS } from './access-commands.ts';
import { AUTHORITY_COMMANDS } from './authority-commands.ts';
import { CERTIFICATE_COMMANDS } from './certificate-commands.ts';
import type { Action, CommandOptions, CommandSpec, OptionSpec } from './command-spec.ts';
import { KEY_COMMANDS } from './key-commands.ts';
import { PLATFORM_COMMANDS, START_COMMANDS } from './platform-commands.ts';

/** Every command. */
export const COMMANDS: readonly CommandSpec[] = [
  ...START_COMMANDS,
  ...CERTIFICATE_COMMANDS,
  ...AUTHORITY_COMMANDS,
  ...ACCESS_COMMANDS,
  ...KEY_COMMANDS,
  ...PLATFORM_COMMANDS,
];

/** What the command line asked for. */
export interface Invocation {
  readonly action: Action;
  readonly args: readonly string[];
  readonly options: CommandOptions;
  readonly globals: GlobalOptions;
  /** Whether `-o pem` can be answered. */
  readonly pem: boolean;
}

const HELP_WIDTH = 79;

/** First words of commands that `bin/gigvault` runs in other programs: they have flags of their own. */
export const OTHER_PROGRAMS: readonly string[] = ['up', 'init', 'rootca', 'ceremony'];

/** First words that stand before a verb. */
export const NOUNS: Readonly<Record<string, string>> = {
  apikey: 'API keys of your own',
  audit: 'the audit log',
  backends: 'where keys live',
  ca: 'certificate authorities',
  cert: 'certificates',
  context: 'the servers that this machine knows',
  csr: 'requests for certificates',
  key: 'keys in the key manager',
  user: 'users',
};

/** The commander program. Parsing hands the invocation to `found`; nothing is run here. */
export function buildProgram(terminal: Terminal, found: (invocation: Invocation) => void): Command {
  const program = configure(new Command('gigvault'), terminal);
  program.description('Your own certificate authority: certificates, keys, revocation, audit.');
  program.addHelpText(
    'before',
    examplesText(['gigvault cert create api.localhost', 'gigvault status']),
  );
  for (const option of globalOptions()) program.addOption(option);
  for (const spec of COMMANDS) addCommand(program, terminal, spec, found);
  return program;
}

function configure(command: Command, terminal: Terminal): Command {
  return command
    .exitOverride()
    .allowExcessArguments(false)
    .configureHelp({ helpWidth: HELP_WIDTH, showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => terminal.writeOut(text),
      writeErr: (text) => terminal.writeErr(text),
      // The failure itself is told once, in the form of all failures.
      outputError: () => undefined,
    });
}

function globalOptions(): Option[] {
  return [
    new Option('--context <name>', 'which server and account; see "context list"'),
    new Option('--server <url>', 'the server, as https://localhost:8443'),
    new Option('--ca-file <file>', 'PEM file of the roots to trust'),
    new Option('--cert <file>', 'PEM file of the client certificate to show'),
    new Option('--key <file>', 'its private key; default in the same file'),
    new Option('-o, --output <format>', 'how results are shown').choices([...OUTPUT_FORMATS]),
    new Option('-q, --quiet', 'print ids only'),
    new Option('--timeout <time>', 'give up a request after this; default 30s'),
    new Option('--yes', 'do not ask before something dangerous'),
    new Option('--no-input', 'never ask'),
    new Option('--no-color', 'no colours'),
    new Option('-V, --version', 'show the version'),
  ];
}

function addCommand(
  program: Command,
  terminal: Terminal,
  spec: CommandSpec,
  found: (it: Invocation) => void,
): void {
  const words = spec.usage.split(' ');
  const [first = ''] = words;
  const grouped = Object.hasOwn(NOUNS, first);
  const parent = grouped ? nounCommand(program, terminal, first) : program;
  const command = configure(parent.command(words.slice(grouped ? 1 : 0).join(' ')), terminal);
  command.summary(spec.summary).description(sentence(spec.summary));
  command.addHelpText('before', examplesText(spec.examples));
  for (const option of spec.options ?? []) command.addOption(optionOf(option));
  command.action(async () => {
    const globals = program.opts<GlobalOptions>();
    found({
      action: await spec.load(),
      args: command.processedArgs as string[],
      options: command.opts(),
      globals,
      pem: spec.pem ?? false,
    });
  });
  if (OTHER_PROGRAMS.includes(first))
    command.allowUnknownOption().allowExcessArguments().helpOption(false);
}

function nounCommand(program: Command, terminal: Terminal, noun: string): Command {
  const existing = program.commands.find((command) => command.name() === noun);
  if (existing) return existing;
  const made = configure(program.command(noun), terminal);
  const examples = COMMANDS.filter(({ usage }) => usage.startsWith(`${noun} `));
  made.addHelpText('before', examplesText(examples.map((spec) => spec.examples[0] ?? '')));
  return made.summary(NOUNS[noun] ?? '').description(sentence(NOUNS[noun] ?? ''));
}

function optionOf(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.description);
  if (spec.choices) option.choices([...spec.choices]);
  if (spec.repeat)
    option.argParser((value: string, earlier: string[] | undefined) => [...(earlier ?? []), value]);
  return option.makeOptionMandatory(spec.required ?? false);
}

function examplesText(examples: readonly string[]): string {
  return `Examples:\n${examples.map((example) => `  ${example}\n`).join('')}`;
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}
