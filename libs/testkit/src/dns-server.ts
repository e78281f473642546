import { createSocket } from 'node:dgram';
import { ipAddressToOctets } from '@gigvault/x509/ip-address';

/** A DNS server on loopback that answers for the names it was told of; for the others, it says that there are none. */
export interface DnsServer {
  /** As `127.0.0.1:5353`. */
  readonly address: string;
  /** Every question, as `a.example A`, in order. */
  readonly questions: string[];
  /** Addresses of a name, IPv4 or IPv6. */
  put(name: string, ...addresses: string[]): void;
  /** Leaves questions without an answer that match, as `a.example A`. */
  silence(questions: RegExp): void;
  stop(): Promise<void>;
}

const TYPES: Readonly<Record<number, string>> = { 1: 'A', 28: 'AAAA' };
const NXDOMAIN = 3;

/** Listens on a free port. */
export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const known = new Map<string, readonly string[]>();
  const questions: string[] = [];
  let silent: RegExp | undefined;
  socket.on('message', (message, from) => {
    const { name, type, end } = readQuestion(message);
    const question = `${name} ${TYPES[type]}`;
    questions.push(question);
    if (silent?.test(question)) return;
    const addresses = known.get(name);
    const records = (addresses ?? [])
      .map(ipAddressToOctets)
      .filter(({ length }) => length === (type === 1 ? 4 : 16))
      .map((octets) => answerRecord(type, octets));
    const reply = Buffer.concat([message.subarray(0, end), ...records]);
    // A response that is authoritative, and offers recursion; the client's EDNS record is left out.
    reply.writeUInt16BE(0x8580 | (addresses ? 0 : NXDOMAIN), 2);
    reply.writeUInt16BE(records.length, 6);
    reply.writeUInt32BE(0, 8);
    socket.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    put: (name, ...addresses) => void known.set(name, addresses),
    silence(question) {
      silent = question;
    },
    stop: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** RFC 1035 §4.1.2; clients do not compress the name of a question. */
function readQuestion(message: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let offset = 12;
  for (let length = message[offset]!; length > 0; length = message[offset]!) {
    labels.push(message.toString('latin1', offset + 1, offset + 1 + length));
    offset += 1 + length;
  }
  return {
    name: labels.join('.').toLowerCase(),
    type: message.readUInt16BE(offset + 1),
    end: offset + 5,
  };
}

/** RFC 1035 §4.1.3: the question's name by a pointer, class IN, a life of one second. */
function answerRecord(type: number, octets: Buffer): Buffer {
  const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 1, 0, octets.length]);
  return Buffer.concat([head, octets]);
}
