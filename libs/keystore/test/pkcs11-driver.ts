/**
 * The process that holds the vendor's library, so that a crash in it is not ours.
 * Arguments: library, user PIN, security officer's PIN. Sets up the first token that it finds.
 */
import { createHash, createPublicKey, randomUUID } from 'node:crypto';
import { asGigvaultError, GigvaultError, toErrorRecord } from '@gigvault/errors/gigvault-error';
import graphene, { type Key, type Module, type PrivateKey, type Session } from 'graphene-pk11';
import type { DriverReply, DriverRequest } from './pkcs11-messages.ts';

const OS_LOCKING_OK = 2;
const SESSIONS = 4;
const COORDINATE = { 'ec-p256': 32, 'ec-p384': 48 } as const;
const CURVE = { 'ec-p256': 'secp256r1', 'ec-p384': 'secp384r1' } as const;
const JWK_CURVE: Readonly<Record<number, string>> = { 32: 'P-256', 48: 'P-384' };

type EcKeyType = keyof typeof COORDINATE;

const [library = '', pin = '', soPin = ''] = process.argv.slice(2);
const idle: Session[] = [];
const waiting: ((session: Session) => void)[] = [];

/** One operation at a time is allowed in a session (PKCS #11 §5.2), so each call borrows one. */
async function withSession<T>(run: (session: Session) => Promise<T> | T): Promise<T> {
  const session = idle.pop() ?? (await new Promise<Session>((resolve) => waiting.push(resolve)));
  try {
    return await run(session);
  } finally {
    const next = waiting.shift();
    if (next) next(session);
    else idle.push(session);
  }
}

function initialize(): void {
  const module: Module = graphene.Module.load(library, 'pkcs11');
  // Without the flag the library believes that it is called from one thread, and concurrent C_Sign corrupts memory.
  module.initialize({ flags: OS_LOCKING_OK });
  const blank = module.getSlots(0, true);
  // graphene's initToken() throws after it has succeeded; the label must be padded with spaces, not zeros.
  blank.lib.C_InitToken(blank.handle, soPin, 'gigvault'.padEnd(32, ' '));
  const flags = graphene.SessionFlag.RW_SESSION | graphene.SessionFlag.SERIAL_SESSION;
  const first = module.getSlots(0, true).open(flags);
  first.login(soPin, graphene.UserType.SO);
  first.initPin(pin);
  first.logout();
  first.login(pin, graphene.UserType.USER);
  idle.push(first);
  while (idle.length < SESSIONS) idle.push(module.getSlots(0, true).open(flags));
}

function generate(session: Session, keyType: string): string {
  const handle = randomUUID();
  const id = Buffer.from(handle);
  const own = { token: true, private: true, sensitive: true, extractable: false, sign: true, id };
  const open = { token: true, verify: true, id };
  if (keyType === 'rsa-2048') {
    session.generateKeyPair(
      graphene.KeyGenMechanism.RSA,
      { ...open, modulusBits: 2048, publicExponent: Buffer.from([1, 0, 1]) },
      own,
    );
  } else if (Object.hasOwn(CURVE, keyType)) {
    const paramsECDSA = graphene.NamedCurve.getByName(CURVE[keyType as EcKeyType]).value;
    session.generateKeyPair(graphene.KeyGenMechanism.EC, { ...open, paramsECDSA }, own);
  } else {
    throw new GigvaultError('INVALID_ARGUMENT', `Key type '${keyType}' is not made here.`);
  }
  return handle;
}

function find(session: Session, handle: string, objectClass: number): Key {
  const found = session.find({ id: Buffer.from(handle), class: objectClass });
  if (found.length === 0) throw new GigvaultError('KEY_NOT_FOUND', `No key '${handle}'.`);
  return found.items(0).toType<Key>();
}

function publicKey(session: Session, handle: string): Buffer {
  const key = find(session, handle, graphene.ObjectClass.PUBLIC_KEY);
  const jwk = key.type === graphene.KeyType.RSA ? rsaJwk(key) : ecJwk(key);
  return createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' });
}

function rsaJwk(key: Key) {
  const { modulus, publicExponent } = key.getAttribute({ modulus: null, publicExponent: null });
  return { kty: 'RSA', n: base64url(modulus!), e: base64url(publicExponent!) };
}

function ecJwk(key: Key) {
  // CKA_EC_POINT is an OCTET STRING that holds 04 || x || y; the tail of it is all that is needed.
  const point: Buffer = key.getAttribute('pointEC');
  const size = point.length > 80 ? COORDINATE['ec-p384'] : COORDINATE['ec-p256'];
  const [x, y] = [point.subarray(-2 * size, -size), point.subarray(-size)];
  return { kty: 'EC', crv: JWK_CURVE[size]!, x: base64url(x), y: base64url(y) };
}

async function sign(session: Session, call: DriverRequest & { method: 'sign' }): Promise<Buffer> {
  const key = find(session, call.handle, graphene.ObjectClass.PRIVATE_KEY) as PrivateKey;
  const data = Buffer.from(call.data);
  if (key.type === graphene.KeyType.RSA) return cSign(session, 'SHA256_RSA_PKCS', key, data);
  const curve = find(session, call.handle, graphene.ObjectClass.PUBLIC_KEY).getAttribute('pointEC');
  const digest = createHash(curve.length > 80 ? 'sha384' : 'sha256')
    .update(data)
    .digest();
  const p1363 = await cSign(session, 'ECDSA', key, digest);
  return call.format === 'p1363' ? p1363 : ecdsaDer(p1363);
}

/** The callback form runs C_Sign off the event loop; only C_SignInit stays on it. */
function cSign(session: Session, mechanism: string, key: Key, data: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    session
      .createSign(mechanism, key)
      .once(data, (error, signature) => (error ? reject(error) : resolve(Buffer.from(signature))));
  });
}

function ecdsaDer(p1363: Buffer): Buffer {
  const half = p1363.length / 2;
  const content = Buffer.concat([
    derInteger(p1363.subarray(0, half)),
    derInteger(p1363.subarray(half)),
  ]);
  return Buffer.concat([Buffer.from([0x30, content.length]), content]);
}

function derInteger(unsigned: Buffer): Buffer {
  let start = 0;
  while (start < unsigned.length - 1 && unsigned[start] === 0) start += 1;
  const sign = unsigned[start]! & 0x80 ? [0] : [];
  const value = Buffer.concat([Buffer.from(sign), unsigned.subarray(start)]);
  return Buffer.concat([Buffer.from([0x02, value.length]), value]);
}

function remove(session: Session, handle: string): void {
  const objects = session.find({ id: Buffer.from(handle) });
  for (let i = objects.length - 1; i >= 0; i -= 1) session.destroy(objects.items(i));
}

const base64url = (octets: Buffer) => octets.toString('base64url');

function run(session: Session, call: DriverRequest): Promise<Buffer> | Buffer | string | undefined {
  switch (call.method) {
    case 'generate':
      return generate(session, call.keyType);
    case 'publicKey':
      return publicKey(session, call.handle);
    case 'sign':
      return sign(session, call);
    case 'remove':
      remove(session, call.handle);
      return undefined;
    case 'check':
      session.generateRandom(1);
      return undefined;
  }
}

function reply(message: DriverReply): void {
  process.send?.(message);
}

initialize();
process.on('message', (request: DriverRequest) => {
  withSession((session) => run(session, request)).then(
    (value) => reply({ id: request.id, value }),
    (error: unknown) => reply({ id: request.id, error: toErrorRecord(asGigvaultError(error)) }),
  );
});
process.on('disconnect', () => process.exit(0));
