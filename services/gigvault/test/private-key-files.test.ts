import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { privateKeyFiles } from './private-key-files.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gigvault-key-files-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('private keys are found in each of their forms, and nothing else is', async () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const locked = { cipher: 'aes-256-cbc', passphrase: 'secret' };
  const keys = {
    'a.pem': ec.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    'b.pem': ec.privateKey.export({ type: 'pkcs8', format: 'pem', ...locked }),
    'c.der': ec.privateKey.export({ type: 'pkcs8', format: 'der' }),
    'd.der': ec.privateKey.export({ type: 'pkcs8', format: 'der', ...locked }),
    'e.der': ec.privateKey.export({ type: 'sec1', format: 'der' }),
    'f.der': rsa.privateKey.export({ type: 'pkcs1', format: 'der' }),
    'keys/.g.p8.00000000-0000-4000-8000-000000000000': '',
    'keys/g.p8': '',
    'keys/h.jwe': '',
  };
  const others = {
    'pg/c.der': keys['c.der'],
    'public.der': ec.publicKey.export({ type: 'spki', format: 'der' }),
    'public.pem': ec.publicKey.export({ type: 'spki', format: 'pem' }),
    'random.bin': randomBytes(100),
    empty: '',
  };
  for (const [name, content] of Object.entries({ ...keys, ...others })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  expect(privateKeyFiles(folder).sort()).toEqual(Object.keys(keys).sort());
});
