import type { JsonGeneralName } from '@peculiar/x509';
import fc from 'fast-check';
import type { GeneralName } from '../src/general-name.ts';
import { normalizeIpAddress } from '../src/ip-address.ts';
import type { Attribute } from '../src/name.ts';

const label = fc.stringMatching(/^[a-z]([a-z0-9]{0,10}[a-z0-9])?$/);
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59);

/** As `a.b.example`. */
export const dnsName = fc
  .array(label, { minLength: 1, maxLength: 4 })
  .map((labels) => [...labels, 'example', 'com'].join('.'));

/** An http URL. */
export const url = fc.tuple(dnsName, label).map(([host, path]) => `http://${host}/${path}.der`);

/** Names of all four kinds; addresses in the one form that every library reads alike. */
export const generalName: fc.Arbitrary<GeneralName> = fc.oneof(
  dnsName.map((value): GeneralName => ({ type: 'dns', value })),
  fc.ipV4().map((value): GeneralName => ({ type: 'ip', value })),
  fc.ipV6().map((value): GeneralName => ({ type: 'ip', value: normalizeIpAddress(value) })),
  url.map((value): GeneralName => ({ type: 'uri', value })),
  fc.tuple(label, dnsName).map(
    ([user, host]): GeneralName => ({
      type: 'email',
      value: `${user}@${host}`,
    }),
  ),
);

const printable = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter(
    (text) =>
      [...text].length <= 60 && /^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(text) && text.isWellFormed(),
  );

/** Attributes of a subject, of the types that stand in certificates. */
export const attributes: fc.Arbitrary<Attribute[]> = fc.array(
  fc
    .oneof(
      fc.tuple(fc.constantFrom('CN', 'O', 'OU', 'L', 'ST'), printable),
      fc.tuple(fc.constant('C'), fc.stringMatching(/^[A-Z]{2}$/)),
      fc.tuple(fc.constant('DC'), label),
    )
    .map(([type, value]) => ({ type, value })),
  { minLength: 1, maxLength: 6 },
);

/** Minimal lower-case hex of 1 to 20 octets, positive as an INTEGER. */
export const serialNumber = fc
  .bigInt({ min: 1n, max: (1n << 159n) - 1n })
  .map((value) => value.toString(16))
  .map((hex) => (hex.length % 2 === 0 ? hex : `0${hex}`));

/** Whole seconds of Unix ms from 1950 to the end of 9999, thickest around 2050 (T16). */
export const second = fc
  .oneof(
    fc.integer({ min: Date.UTC(1950, 0) / 1000, max: LAST / 1000 }),
    fc.integer({ min: Date.UTC(2049, 11, 31) / 1000, max: Date.UTC(2050, 0, 2) / 1000 }),
    fc.constant(LAST / 1000),
  )
  .map((seconds) => seconds * 1000);

/** One of the inputs with a few octets changed, cut or put in. */
export function damaged(inputs: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const change = fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('set', 'cut', 'put', 'end'));
  return fc
    .tuple(fc.constantFrom(...inputs), fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([input, changes]) =>
      changes.reduce((bytes, [place, octet, what]) => {
        const at = place % (bytes.length + 1);
        const after = what === 'set' || what === 'cut' ? at + 1 : at;
        const middle = what === 'set' || what === 'put' ? Buffer.of(octet) : Buffer.alloc(0);
        const rest = what === 'end' ? Buffer.alloc(0) : bytes.subarray(after);
        return Buffer.concat([bytes.subarray(0, at), middle, rest]);
      }, input),
    );
}

/** A name as @peculiar/x509 takes it. */
export function peculiarName({ type, value }: GeneralName): JsonGeneralName {
  return { type: type === 'uri' ? 'url' : type, value };
}
