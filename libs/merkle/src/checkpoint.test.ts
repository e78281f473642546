import { generateKeyPairSync, sign } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { checkpointNote, checkpointText, parseCheckpoint, verifyCheckpoint } from './checkpoint.ts';

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spki = key.publicKey.export({ format: 'der', type: 'spki' });
const head = { origin: 'gigvault.local/audit', size: 42, root: Buffer.alloc(32, 7) };
const note = checkpointNote(
  head,
  spki,
  sign('sha256', Buffer.from(checkpointText(head)), key.privateKey),
);

describe('a checkpoint', () => {
  it('is a signed note of three lines', () => {
    const lines = note.split('\n');
    expect(lines.slice(0, 4)).toEqual([
      'gigvault.local/audit',
      '42',
      'BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=',
      '',
    ]);
    expect(lines[4]).toMatch(/^— gigvault\.local\/audit [A-Za-z0-9+/]+=*$/);
    expect(lines.slice(5)).toEqual(['']);
  });

  it('verifies with its key and origin', () => {
    expect(verifyCheckpoint(note, spki, head.origin)).toMatchObject(head);
  });

  // covers: T65
  it('does not verify when changed, of another log, or by another key', () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      format: 'der',
      type: 'spki',
    });
    expect(() => verifyCheckpoint(note.replace('\n42\n', '\n43\n'), spki, head.origin)).toThrow(
      'not signed by this key',
    );
    expect(() => verifyCheckpoint(note, other, head.origin)).toThrow('not signed by this key');
    expect(() => verifyCheckpoint(note, spki, 'example.org/audit')).toThrow(
      'is of gigvault.local/audit',
    );
  });

  it.each([
    ['', 'empty'],
    ['gigvault.local/audit\n42\n', 'no signature'],
    [note.replace('\n42\n', '\n042\n'), 'size with a leading zero'],
    [note.replace('\n42\n', '\n-1\n'), 'negative size'],
    [note.replace('Bwc=', 'Bwd='), 'root in base64 that is not canonical'],
    [note.replace('—', '-'), 'wrong dash'],
    [note.slice(0, -1), 'last newline missing'],
    [note.replace('\n42\n', '\n42\nmore\n'), 'lines in the wrong place'],
  ])('is refused when malformed: %#, %s', (text) => {
    expect(() => parseCheckpoint(text)).toThrow('not a signed checkpoint');
  });

  it('no changed character verifies, and nothing but an error of the house is thrown', () => {
    const characters = fc.constantFrom('\n', '0', '1', 'A', 'a', '/', '=', ' ', '\u2014', '\0');
    const other = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .tuple(fc.nat(note.length), fc.nat(2), characters)
        .map(([at, gone, put]) => `${note.slice(0, at)}${put}${note.slice(at + gone)}`),
    );
    fc.assert(
      fc.property(
        other.filter((text) => text !== note),
        (text) => {
          try {
            // An ECDSA signature has one form here, so no other note is as good.
            expect(verifyCheckpoint(text, spki, head.origin)).toBeUndefined();
          } catch (error) {
            expect(error).toBeInstanceOf(GigvaultError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
