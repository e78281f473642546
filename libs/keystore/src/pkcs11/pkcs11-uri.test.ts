import { expect, it } from '@jest/globals';
import { parsePkcs11Uri } from './pkcs11-uri.ts';

const MODULE = 'module-path=/usr/lib/softhsm/libsofthsm2.so';
const PIN = 'pin-source=file:/etc/gigvault/pin';
const pinned = {
  modulePath: '/usr/lib/softhsm/libsofthsm2.so',
  pinSource: 'file:///etc/gigvault/pin',
};

it.each([
  ['any token', `pkcs11:?${MODULE}&${PIN}`, { token: {}, ...pinned }],
  [
    'every attribute, encoded and not',
    `pkcs11:token=My%20CA%3B1;manufacturer=SoftHSM%20project;serial=0a:b;model=v2;slot-id=12?${MODULE}&${PIN}`,
    {
      token: {
        token: 'My CA;1',
        manufacturer: 'SoftHSM project',
        serial: '0a:b',
        model: 'v2',
        slotId: 12,
      },
      ...pinned,
    },
  ],
  [
    'UTF-8, and a plus that is a plus',
    `pkcs11:token=%C3%BC+1?${PIN}&${MODULE}`,
    { token: { token: 'ü+1' }, ...pinned },
  ],
  [
    'an equals sign within a value',
    `pkcs11:token=a=b?${MODULE}&${PIN}`,
    { token: { token: 'a=b' }, ...pinned },
  ],
  ['file:///', `pkcs11:?${MODULE}&pin-source=file:///etc/gigvault/pin`, { token: {}, ...pinned }],
  ['a plain path', `pkcs11:?${MODULE}&pin-source=/etc/gigvault/pin`, { token: {}, ...pinned }],
  [
    'a file URI that encodes by itself',
    `pkcs11:?${MODULE}&pin-source=file:/etc/a%2520b`,
    { token: {}, modulePath: pinned.modulePath, pinSource: 'file:///etc/a b' },
  ],
  [
    'any place of a secret, its # and & encoded — covers: X12',
    `pkcs11:?${MODULE}&pin-source=vault://secret/gigvault/hsm?version=3%23pin`,
    {
      token: {},
      modulePath: pinned.modulePath,
      pinSource: 'vault://secret/gigvault/hsm?version=3#pin',
    },
  ],
  [
    'a question mark within a value',
    `pkcs11:?module-path=/a?b&${PIN}`,
    { token: {}, modulePath: '/a?b', pinSource: pinned.pinSource },
  ],
])('reads %s', (_, uri, expected) => {
  expect(parsePkcs11Uri(uri)).toEqual(expected);
});

it.each([
  ['', 'pkcs11:'],
  [`PKCS11:?${MODULE}&${PIN}`, 'pkcs11:'],
  [`pkcs11:?${PIN}`, 'module-path is missing'],
  [`pkcs11:?module-path=&${PIN}`, 'module-path is missing'],
  [`pkcs11:?module-path=softhsm.so&${PIN}`, 'module-path is not an absolute path'],
  [`pkcs11:?${MODULE}`, 'pin-source is missing'],
  [`pkcs11:?${MODULE}&pin-source=pin`, 'pin-source is not an absolute path'],
  [`pkcs11:?${MODULE}&pin-source=file:pin`, 'pin-source must be a file'],
  [`pkcs11:?${MODULE}&pin-source=env:PIN`, 'pin-source must be /path, file:///path, env://NAME'],
  [`pkcs11:?${MODULE}&pin-source=|/bin/pin`, 'pin-source is not an absolute path'],
  [`pkcs11:?${MODULE}&pin-source=file://other/etc/pin`, 'no file of this machine'],
  [`pkcs11:?${MODULE}&pin-source=/etc/p%00in`, 'pin-source is not text'],
  [`pkcs11:?${MODULE}&pin-value=314159`, 'pin-source'],
  [`pkcs11:token=a;token=b?${MODULE}&${PIN}`, 'token stands there twice'],
  [`pkcs11:?${MODULE}&${MODULE}&${PIN}`, 'module-path stands there twice'],
  [`pkcs11:object=key?${MODULE}&${PIN}`, "'object' is not one of"],
  [`pkcs11:${MODULE}?${PIN}`, "'module-path' is not one of"],
  [`pkcs11:x-vendor=1?${MODULE}&${PIN}`, "'x-vendor' is not one of"],
  [`pkcs11:token?${MODULE}&${PIN}`, 'token has no value'],
  [`pkcs11:token=a;?${MODULE}&${PIN}`, "'' is not one of"],
  [`pkcs11:__proto__=a?${MODULE}&${PIN}`, 'is not one of'],
  [`pkcs11:token=a b?${MODULE}&${PIN}`, 'percent-encoded'],
  [`pkcs11:token=a/b?${MODULE}&${PIN}`, 'percent-encoded'],
  [`pkcs11:token=%zz?${MODULE}&${PIN}`, 'percent-encoded'],
  [`pkcs11:token=%ff?${MODULE}&${PIN}`, 'token is not text'],
  [`pkcs11:slot-id=-1?${MODULE}&${PIN}`, 'slot-id is not a number'],
  [`pkcs11:slot-id=0x1?${MODULE}&${PIN}`, 'slot-id is not a number'],
])('refuses %s', (uri, why) => {
  expect(() => parsePkcs11Uri(uri)).toThrow(why);
});

it('covers: T66. repeats no PIN in what it says', () => {
  const uri = `pkcs11:token=a?${MODULE}&pin-value=314159`;
  expect(() => parsePkcs11Uri(uri)).toThrow(/^(?!.*314159).*pin-source/);
});
