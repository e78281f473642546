import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * The connections of a server. Node's own list knows no handshake, and takes a header that has begun for work: a stop would wait for
 * whoever says nothing.
 */
export interface Connections {
  /** A request whose header is there. */
  took(request: IncomingMessage, response: ServerResponse): void;
  /** From now on each answer is its connection's last, and says so where its header is not out yet. Ends handshakes. */
  startEnding(): void;
  areEnding(): boolean;
  /** Ends those on which no request is being worked on. */
  endIdle(): void;
  /** Ends those whose request is not there to its end. */
  endUnread(): void;
  endAll(): void;
}

/** @param isTls whether connections begin with a handshake */
export function connectionsOf(server: Server, isTls: boolean): Connections {
  /** By the client's address and port, which the two sockets of a TLS connection share. */
  const handshakes = new Map<string, Socket>();
  const open = new Set<Socket>();
  const newest = new WeakMap<Socket, ServerResponse>();
  let ending = false;

  function opened(socket: Socket): void {
    handshakes.delete(peerOf(socket));
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  }

  function end(which: (answering: ServerResponse | undefined) => boolean): void {
    for (const socket of open) {
      const response = newest.get(socket);
      if (which(response?.writableFinished ? undefined : response)) socket.destroy();
    }
  }

  function makeLast(response: ServerResponse): void {
    const { socket } = response.req;
    if (response.headersSent) response.once('finish', () => socket.destroySoon());
    else response.setHeader('connection', 'close');
  }

  if (isTls) {
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket);
      handshakes.set(peer, socket);
      socket.once('close', () => handshakes.delete(peer));
    });
    server.on('secureConnection', opened);
    // Nothing can be told over it. Node leaves it to the listener of `clientError`, which does not know that.
    server.on('tlsClientError', (_error, socket: Socket) => socket.destroy());
  } else server.on('connection', opened);

  return {
    took(request, response) {
      newest.set(request.socket, response);
      if (ending) makeLast(response);
    },
    startEnding() {
      ending = true;
      for (const socket of handshakes.values()) socket.destroy();
      for (const socket of open) {
        const response = newest.get(socket);
        if (response && !response.writableFinished) makeLast(response);
      }
    },
    areEnding: () => ending,
    endIdle: () => end((response) => response === undefined),
    endUnread: () => end((response) => response !== undefined && !response.req.complete),
    endAll() {
      for (const socket of [...handshakes.values(), ...open]) socket.destroy();
    },
  };
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
