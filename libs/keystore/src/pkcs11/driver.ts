/**
 * The process that holds a vendor's library, so that a crash in it is not ours: a bundle of its own, `dist/pkcs11-driver.js`. It is told what
 * to open and what to do over the channel to its parent, and ends with it.
 */
import { Worker } from 'node:worker_threads';
import { toErrorRecord } from '@gigvault/errors/gigvault-error';
import { keepMemoryPrivate } from '@gigvault/files/private-memory';
import type { Module } from 'graphene-pk11';
import type {
  DriverAnswer,
  DriverFailure,
  FromDriver,
  NumberedCall,
  OpenToken,
  ToDriver,
} from './driver-messages.ts';
import type { TokenQuery } from './pkcs11-uri.ts';
import { isLost, pinProblem, tokenError } from './return-value.ts';
import { loadModule, type OpenedSessions, openToken } from './token.ts';

/** Calls in a row that a new session did not help: then a new process may. */
const LOST_IN_A_ROW = 2;

let token: OpenedSessions | undefined;
/** For operators: the one that is asked for, then the one that was found. */
let name = 'the token';
let lost = 0;
let answers: DriverAnswer[] = [];

function open(request: OpenToken): void {
  name = nameOf(request.token);
  let module: Module | undefined;
  try {
    module = loadModule(request.modulePath);
    token = openToken(module, request);
    name = token.opened.description;
    tell({ opened: token.opened });
  } catch (error) {
    tell({ failed: { ...failureOf(error), noLibrary: module === undefined } });
  }
}

function run(opened: OpenedSessions, call: NumberedCall): void {
  opened.run(call).then(
    (value) => {
      lost = 0;
      answer({ id: call.id, value });
    },
    (error: unknown) => {
      answer({ id: call.id, error: toErrorRecord(tokenError(error, name)) });
      lost = isLost(error) ? lost + 1 : lost;
      if (lost === LOST_IN_A_ROW || pinProblem(error) !== undefined) {
        sendAnswers();
        tell({ failed: failureOf(error) });
      }
    },
  );
}

/** Answers of one turn of the event loop go together: a message costs more than a signature. */
function answer(one: DriverAnswer): void {
  if (answers.length === 0) setImmediate(sendAnswers);
  answers.push(one);
}

function sendAnswers(): void {
  if (answers.length > 0) tell({ answers });
  answers = [];
}

function failureOf(error: unknown): DriverFailure {
  const pin = pinProblem(error);
  const message = pin ?? tokenError(error, name).message;
  return { message, pinRefused: pin !== undefined, noLibrary: false };
}

/** As `token 'ca'`. */
function nameOf({ token: label, slotId }: TokenQuery): string {
  if (label !== undefined) return `token '${label}'`;
  return slotId === undefined ? 'the token' : `the token in slot ${slotId}`;
}

function tell(message: FromDriver): void {
  process.send?.(message);
}

/** Not process.exit(): it waits for threads, and one of them may hang in the library. */
function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Looks from a thread of its own: the main one may hang in the library when the parent dies, and then hears of nothing. */
const WATCH = `
  const { workerData: parent } = require('node:worker_threads');
  setInterval(() => process.ppid === parent || process.kill(process.pid, 'SIGKILL'), 1_000);
`;

keepMemoryPrivate();
new Worker(WATCH, { eval: true, workerData: process.ppid }).unref();
process.on('message', (message: ToDriver) => {
  if ('open' in message) open(message.open);
  else if ('calls' in message) for (const call of message.calls) run(token!, call);
  else {
    token?.close();
    process.disconnect?.();
  }
});
process.on('disconnect', end);
