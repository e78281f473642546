import graphene, {
  type ITemplate,
  type Session,
  type SessionObject,
  type Slot,
} from 'graphene-pk11';
import { isLost, pinProblem, returnValueOf } from './return-value.ts';

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

/** Room for one session. It is empty when the last one was lost, and no other could be opened: whoever comes next opens one. */
interface Place {
  session: Session | undefined;
}

/** Opens the sessions and logs in. Errors: those of the library. */
export function openSessions(options: SessionsOptions): Sessions {
  const { slot, pin, count, onRenewed } = options;
  let refused: unknown;
  const idle: Place[] = Array.from({ length: count }, () => ({ session: open() }));
  const waiting: ((place: Place) => void)[] = [];

  /** A login belongs to the application, not to a session: the first one logs in for all. One that is not logged in sees no private keys, and is not kept. */
  function open(): Session {
    if (refused !== undefined) throw refused;
    const session = slot.open(FLAGS);
    try {
      if (!isLoggedIn(session)) logIn(session);
      return session;
    } catch (error) {
      close(session);
      throw error;
    }
  }

  /** Calls that came at the same time must not try a refused PIN again, each for itself. */
  function logIn(session: Session): void {
    try {
      session.login(pin);
    } catch (error) {
      if (returnValueOf(error) === 'CKR_USER_ALREADY_LOGGED_IN') return;
      if (pinProblem(error) !== undefined) refused = error;
      throw error;
    }
  }

  function renew(place: Place, lost: Session): Session {
    place.session = undefined;
    close(lost);
    onRenewed();
    place.session = open();
    return place.session;
  }

  function giveBack(place: Place): void {
    const next = waiting.shift();
    if (next === undefined) idle.push(place);
    else next(place);
  }

  return {
    async use(work) {
      const place = idle.pop() ?? (await new Promise<Place>((resolve) => waiting.push(resolve)));
      try {
        const session = place.session ?? open();
        place.session = session;
        try {
          return await work(session);
        } catch (error) {
          if (!isLost(error)) throw error;
          return await work(renew(place, session));
        }
      } finally {
        giveBack(place);
      }
    },
  };
}

/** The objects that a template matches. Errors: those of the library, CKR_USER_NOT_LOGGED_IN instead of an answer that leaves private ones out. */
export function findObjects(session: Session, template: ITemplate): SessionObject[] {
  const found = [...session.find(template)];
  if (isLoggedIn(session.lib.C_GetSessionInfo(session.handle))) return found;
  throw new Error('CKR_USER_NOT_LOGGED_IN');
}

function isLoggedIn({ state }: Pick<Session, 'state'>): boolean {
  return state === RW_USER_FUNCTIONS;
}

function close(session: Session): void {
  try {
    session.close();
  } catch (error) {
    // It is gone already.
    if (returnValueOf(error) === undefined) throw error;
  }
}
