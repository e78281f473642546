import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fileSecret, resolveSecret, secretReference } from './secret.ts';

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
    expect(resolveSecret(secretFile('hunter2\n'), {})).toBe('hunter2');
    expect(resolveSecret(secretFile('hunter2\r\n'), {})).toBe('hunter2');
    expect(resolveSecret(secretFile(' two words '), {})).toBe(' two words ');
  });

  it('comes from the environment', () => {
    const reference = secretReference.parse('env://ADMIN_TOKEN');
    expect(resolveSecret(reference, { ADMIN_TOKEN: 'hunter2' })).toBe('hunter2');
  });

  it('that is not there is named by its place', () => {
    const missing = fileSecret(join(folder, 'missing'));
    expect(() => resolveSecret(missing, {})).toThrow(`The secret ${missing} is not there.`);
    expect(() => resolveSecret(secretFile('\n'), {})).toThrow('is not there');
    expect(() => resolveSecret(secretReference.parse('env://NOBODY'), {})).toThrow('env://NOBODY');
  });

  it('that cannot be read is named by its file', () => {
    expect(() => resolveSecret(fileSecret(folder), {})).toThrow(`The secret file ${folder}`);
  });

  it.each(['hunter2', 'file://relative', 'http://x', 'env://', 'vault://x'])(
    'is a reference, never a value: %s',
    (text) => {
      const result = secretReference.safeParse(text);
      expect(result.success).toBe(false);
      expect(JSON.stringify(result.error?.issues)).not.toContain('hunter2');
    },
  );
});
