import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { fromPem } from '@gigvault/x509/pem';
import { CliFailure, usage } from '../failure.ts';
import { type CommandOptions, textOption } from '../program/command-spec.ts';
import type { Session } from '../session.ts';

/** A root that this machine can sign with. */
export interface RootAtHand {
  readonly folder: string;
  /** Its key is an encrypted file; otherwise it is in a token. */
  readonly isFile: boolean;
  /** Holds the passphrase; undefined: it is asked for. */
  readonly passphraseFile: string | undefined;
  /** The token, when its URI is another one by now. */
  readonly hsm: string | undefined;
}

/** What the root is asked to sign. */
export interface SigningRequest {
  readonly issuerId: string;
  readonly line: string;
  /** PKCS #10, PEM. */
  readonly certificationRequest: string;
  /** Of this PKI's root, PEM; undefined: the server does not say. */
  readonly rootCertificate?: string;
}

const KEY = 'root.key';
const TOKEN = 'token.yaml';
const CERTIFICATE = 'root.crt';
/** What opens the key is divided among people, who are asked where nobody else is. */
const CUSTODY = 'custody.json';

/**
 * The root of `--root`, or the one that `up` has made on this machine: it lies beside the root certificate of the context. Undefined when the root
 * is elsewhere. Fails when `--root` is no root, and for one that several people open.
 */
export async function findRoot(
  session: Session,
  options: CommandOptions,
): Promise<RootAtHand | undefined> {
  if (textOption(options, 'csr') !== undefined) return undefined;
  const { cwd } = session.terminal;
  const given = textOption(options, 'root');
  const { caFile } = await session.context();
  const beside = caFile !== undefined && isAbsolute(caFile) ? dirname(caFile) : undefined;
  const folder = given === undefined ? beside : resolve(cwd, given);
  if (folder === undefined) return undefined;
  const [isFile, isToken] = [KEY, TOKEN].map((name) => existsSync(join(folder, name)));
  if (!isFile && !isToken) {
    if (given === undefined) return undefined;
    throw usage(`${folder} holds no root: there is neither ${KEY} nor ${TOKEN}.`);
  }
  if (existsSync(join(folder, CUSTODY)))
    throw usage(`What opens the root of ${folder} is held by several people.`, {
      command: '--csr <file>',
      note: 'and "gigvault rootca sign" by them',
    });
  const file = textOption(options, 'passphraseFile');
  return {
    folder,
    isFile: isToken !== true,
    passphraseFile: file === undefined ? undefined : resolve(cwd, file),
    hsm: textOption(options, 'hsm'),
  };
}

/**
 * Has the program `rootca` sign, as on an offline machine: the certificate and its transcript stay in the root's folder. One that an earlier run
 * has signed for this key is taken. Returns PEM. Fails with the program's words and exit code, and for the root of another PKI, which is not asked.
 */
export async function signWithRoot(
  session: Session,
  root: RootAtHand,
  request: SigningRequest,
): Promise<string> {
  const certificate = await requireOwnRoot(root.folder, request);
  const { path, signed } = await placeFor(root.folder, request, certificate);
  if (signed !== undefined) return signed;
  const input = await passphraseFor(session, root);
  const work = await mkdtemp(join(tmpdir(), 'gigvault-csr-'));
  try {
    const csr = join(work, 'request.csr');
    await writeFile(csr, request.certificationRequest);
    const { code, stderr } = await session.terminal.runRootca(
      [
        ...['sign', '--root', root.folder, '--kind', request.line, '--csr', csr, '--out', path],
        ...(root.isFile ? ['--passphrase-file', root.passphraseFile ?? '-'] : []),
        ...(root.hsm === undefined ? [] : ['--hsm', root.hsm]),
      ],
      input,
    );
    if (code !== 0) throw refusal(code, stderr);
  } finally {
    await rm(work, { recursive: true });
  }
  return readFile(path, 'utf8');
}

/** The root's certificate in the folder: same key and name as the one that this PKI's certificates lead to. */
async function requireOwnRoot(
  folder: string,
  { rootCertificate }: SigningRequest,
): Promise<X509Certificate> {
  const path = join(folder, CERTIFICATE);
  if (!existsSync(path)) throw usage(`${folder} holds no root: there is no ${CERTIFICATE}.`);
  const found = readX509(path, await readFile(path, 'utf8'));
  const wanted = new X509Certificate(rootCertificate ?? found.toString());
  if (found.subject === wanted.subject && spkiOf(found).equals(spkiOf(wanted))) return found;
  throw new CliFailure(
    `the root of ${folder} is not this PKI's: it is ${shown(found)}, and ${shown(wanted)} has to sign.`,
    { code: 'INVALID_ARGUMENT' },
  );
}

/** As `CN=Example Root CA (SHA256 0A:1B:…)`. */
function shown({ subject, fingerprint256 }: X509Certificate): string {
  return `${subject.replaceAll('\n', ', ')} (SHA256 ${fingerprint256})`;
}

function readX509(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new CliFailure(`${path} is not a certificate.`, { code: 'INVALID_ARGUMENT' });
  }
}

function spkiOf({ publicKey }: X509Certificate): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** The subjectPublicKeyInfo of a PKCS #10 request, PEM, which that key has signed. Errors: INVALID_ARGUMENT, BAD_CSR, BAD_PUBLIC_KEY. */
export function requestedKey(certificationRequest: string): Buffer {
  const [der] = fromPem(certificationRequest, 'CERTIFICATE REQUEST') as [Buffer];
  return parseCertificationRequest(der).publicKey.spki;
}

/** `issuing-g2.crt` in the root's folder, or the certificate that is there for this key, of this root; the next name where another run died half-way. */
async function placeFor(
  folder: string,
  { issuerId, certificationRequest }: SigningRequest,
  root: X509Certificate,
): Promise<{ readonly path: string; readonly signed?: string }> {
  const spki = requestedKey(certificationRequest);
  for (let number = 1; ; number++) {
    const path = join(folder, number === 1 ? `${issuerId}.crt` : `${issuerId}.${number}.crt`);
    if (existsSync(path)) {
      const signed = await readFile(path, 'utf8');
      const certificate = readX509(path, signed);
      const isOurs = spki.equals(spkiOf(certificate)) && certificate.verify(root.publicKey);
      if (isOurs) return { path, signed };
    } else if (!existsSync(`${path}.transcript.json`)) return { path };
  }
}

async function passphraseFor(session: Session, root: RootAtHand): Promise<string> {
  if (!root.isFile || root.passphraseFile !== undefined) return '';
  const { terminal, options } = session;
  if (!terminal.stdinIsTty || !options.input)
    throw usage("The root's key has a passphrase, and nobody can be asked for it here.", {
      command: '--passphrase-file <file>',
    });
  return terminal.askSecret(`Passphrase of ${join(root.folder, KEY)}: `);
}

/** The program says `error: <why>  GV-<CODE>`. */
function refusal(code: number, stderr: string): CliFailure {
  const line = stderr.trim().split('\n').at(-1) ?? '';
  const [, why = line, shownCode] = /^error: (.*?)\s+(GV-[A-Z-]+)$/.exec(line) ?? [];
  return new CliFailure(`the root did not sign: ${why}`, {
    exitCode: code,
    ...(shownCode === undefined ? {} : { shownCode }),
  });
}
