import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fileSecret, localSecretReference, readLocalSecret, secretReference } from './secret.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gigvault-secret-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function secretFile(content: string): ReturnType<typeof fileSecret> {
  const path = join(folder, 'secret');
  writeFileSync(path, content);
  chmodSync(path, 0o600);
  return fileSecret(path);
}

describe('a secret', () => {
  it('comes from a file, without the newline that editors add', () => {
    expect(readLocalSecret(secretFile('hunter2\n'), {})).toBe('hunter2');
    expect(readLocalSecret(secretFile('hunter2\r\n'), {})).toBe('hunter2');
    expect(readLocalSecret(secretFile(' two words '), {})).toBe(' two words ');
  });

  it('comes from the environment', () => {
    const reference = secretReference.parse('env://ADMIN_TOKEN');
    expect(readLocalSecret(reference, { ADMIN_TOKEN: 'hunter2' })).toBe('hunter2');
  });

  it('that is not there is named by its place', () => {
    const missing = fileSecret(join(folder, 'missing'));
    expect(() => readLocalSecret(missing, {})).toThrow(`The secret ${missing} is not there.`);
    expect(() => readLocalSecret(secretFile('\n'), {})).toThrow('is empty');
    expect(() => readLocalSecret(secretReference.parse('env://NOBODY'), {})).toThrow(
      'env://NOBODY',
    );
  });

  it('that cannot be read is named by its file', () => {
    expect(() => readLocalSecret(fileSecret(folder), {})).toThrow(`The secret file ${folder}`);
  });

  it('that everybody may read is refused; a group may have it', () => {
    const reference = secretFile('hunter2');
    const path = reference.slice('file://'.length);
    for (const [mode, refused] of [
      [0o644, true],
      [0o602, true],
      [0o440, false],
    ] as const) {
      chmodSync(path, mode);
      if (refused) expect(() => readLocalSecret(reference, {})).toThrow(`chmod 600 ${path}`);
      else expect(readLocalSecret(reference, {})).toBe('hunter2');
    }
  });

  it.each([
    'vault://secret/gigvault/hsm#pin',
    'vault://kv/a?version=12#x.y-z',
    'aws-sm://gigvault/pin',
    'aws-sm://arn:aws:secretsmanager:eu-central-1:123456789012:secret:gigvault/pin-AbCdEf?stage=AWSPREVIOUS#pin',
    'aws-ssm:///gigvault/pin?version=3',
    'aws-ssm://pin',
  ])('may be elsewhere, and then not on this machine: %s — covers: X12', (text) => {
    const reference = secretReference.parse(text);
    expect(localSecretReference.safeParse(text).success).toBe(false);
    expect(() => readLocalSecret(reference, {})).toThrow(`${text} is not on this machine`);
  });

  it.each([
    'hunter2',
    'file://relative',
    'http://x',
    'env://',
    'vault://x',
    'vault://secret/../sys#x',
    'vault://secret/a?version=0',
    'vault://secret/a#',
    'aws-sm://',
    'aws-ssm:///hunter2/a b',
  ])('is a reference, never a value: %s', (text) => {
    const result = secretReference.safeParse(text);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).not.toContain('hunter2');
  });
});
