import { METHODS } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** Lets Fastify know every method that Node reads, so that each is refused as all others are: with 405. */
export function knowAllMethods(app: FastifyInstance): void {
  // A CONNECT never becomes a request.
  for (const method of METHODS)
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method);
}
