import type { Clock } from '@gigvault/time/clock';
import type { Check } from '../ceremony/check.ts';
import type { Custody, Plan, SubordinateKind } from '../plan/plan.ts';
import type { CeremonyFiles } from '../ports/ceremony-files.ts';
import type { KeyKeeper } from '../ports/key-keeper.ts';
import type { Operator } from '../ports/operator.ts';
import type { Room } from '../ports/room.ts';

/** What is to be made. */
export interface CeremonyOrder {
  /** A rehearsal's is not the real one, see rehearsalPlan. */
  readonly plan: Plan;
  /** As it is kept in `plan.yaml`. */
  readonly planText: string;
  readonly custody: Custody;
  readonly isRehearsal: boolean;
  /** A PKCS #10 request, PEM. Errors: those of reading and making it. */
  request(kind: SubordinateKind): Promise<string>;
}

/** What a ceremony needs. */
export interface CeremonyDeps {
  readonly operator: Operator;
  readonly room: Room;
  /** The root's directory: it stays here. */
  readonly files: CeremonyFiles;
  /** What travels. */
  readonly bundle: CeremonyFiles;
  readonly keeper: KeyKeeper;
  readonly clock: Clock;
  /** Looks at the bundle as a stranger would. */
  verify(): readonly Check[];
}
