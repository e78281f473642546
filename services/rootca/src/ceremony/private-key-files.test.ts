import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { searchPrivateKeys } from './private-key-files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gigvault-private-keys-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

describe('searchPrivateKeys', () => {
  it('finds keys by what is in a file, wherever and whatever it is, and no mere label', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const locked = { cipher: 'aes-256-cbc', passphrase: 'secret' };
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const keys = {
      'a/b/root.key': '',
      'der.bin': privateKey.export({ type: 'sec1', format: 'der' }),
      'locked.bin': privateKey.export({ type: 'pkcs8', format: 'der', ...locked }),
      'notes.json': JSON.stringify({ key: `see:\n${pem}` }),
      'notes.txt': `below\r\n${pem.replaceAll('\n', '\r\n')}`,
      'old.pem': '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIE',
      'x.crt': privateKey.export({ type: 'pkcs8', format: 'pem', ...locked }),
    };
    await write({
      ...keys,
      'public.der': publicKey.export({ type: 'spki', format: 'der' }),
      'public.pem': publicKey.export({ type: 'spki', format: 'pem' }),
      'program.js':
        "const label = '-----BEGIN PRIVATE KEY-----';\nconst other = 'abcdefghijklmnopq';",
    });
    await symlink(folder, join(folder, 'loop'));
    expect(searchPrivateKeys(folder)).toEqual({ found: Object.keys(keys), unseen: [] });
  });

  it('tells what it has not looked into', async () => {
    await write({ 'large.iso': '', 'small.txt': '' });
    await truncate(join(folder, 'large.iso'), 16 * 1024 * 1024 + 1);
    await symlink('nowhere', join(folder, 'dangling'));
    expect(searchPrivateKeys(folder)).toEqual({ found: [], unseen: ['dangling', 'large.iso'] });
  });

  it('stops after ten thousand files', async () => {
    await Promise.all(
      Array.from({ length: 10_001 }, (_, i) => writeFile(join(folder, String(i)), '')),
    );
    expect(searchPrivateKeys(folder)).toEqual({ found: [], unseen: ['…'] });
  });
});
