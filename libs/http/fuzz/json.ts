import assert from 'node:assert';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { parseForm } from '../src/form.ts';
import { parseJson } from '../src/json.ts';

/** Jazzer.js's entry: a body is JSON that JSON.parse reads as well, or refused; and a form, or refused. */
export function fuzz(data: Buffer): void {
  try {
    const value = parseJson(data);
    assert.deepStrictEqual(value, JSON.parse(data.toString().replace(/^\uFEFF/, '')));
    parseForm(data);
  } catch (error) {
    if (!(error instanceof GigvaultError)) throw error;
  }
}
