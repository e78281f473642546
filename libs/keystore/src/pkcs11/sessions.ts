import graphene, { type Session, type Slot } from 'graphene-pk11';
import { isLost, returnValueOf } from './return-value.ts';

const RW_USER_FUNCTIONS = 3;
const FLAGS = graphene.SessionFlag.RW_SESSION | graphene.SessionFlag.SERIAL_SESSION;

/** Sessions in which the user is logged in. */
export interface Sessions {
  /**
   * Runs `work` in a session of its own: one operation at a time is allowed in one (PKCS #11 v3.1 §5.6). When the session, the login or the
   * device is lost, once again in a new session. Errors: those of `work`, of opening a session and of the login.
   */
  use<T>(work: (session: Session) => Promise<T> | T): Promise<T>;
}

/** What a pool needs. */
export interface SessionsOptions {
  readonly slot: Slot;
  readonly pin: string;
  readonly count: number;
  /** Handles of objects mean nothing any more. */
  onRenewed(): void;
}

/** Opens the sessions and logs in. Errors: those of the library. */
export function openSessions(options: SessionsOptions): Sessions {
  const { slot, pin, count, onRenewed } = options;
  const idle = Array.from({ length: count }, open);
  const waiting: ((session: Session) => void)[] = [];

  /** A login belongs to the application, not to a session: the first one logs in for all. */
  function open(): Session {
    const session = slot.open(FLAGS);
    if (session.state !== RW_USER_FUNCTIONS) logIn(session);
    return session;
  }

  function logIn(session: Session): void {
    try {
      session.login(pin);
    } catch (error) {
      if (returnValueOf(error) !== 'CKR_USER_ALREADY_LOGGED_IN') throw error;
    }
  }

  function renew(session: Session): Session {
    try {
      session.close();
    } catch (error) {
      // It is gone already.
      if (returnValueOf(error) === undefined) throw error;
    }
    onRenewed();
    return open();
  }

  function giveBack(session: Session): void {
    const next = waiting.shift();
    if (next === undefined) idle.push(session);
    else next(session);
  }

  return {
    async use(work) {
      let session = idle.pop() ?? (await new Promise<Session>((resolve) => waiting.push(resolve)));
      try {
        try {
          return await work(session);
        } catch (error) {
          if (!isLost(error)) throw error;
          session = renew(session);
          return await work(session);
        }
      } finally {
        giveBack(session);
      }
    },
  };
}
