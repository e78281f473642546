/** What the machine tells of itself and where it stands. */
export interface RoomFacts {
  /** Bits in the system's pool of randomness; undefined where the system does not say. */
  readonly entropyBits: number | undefined;
  /** Network interfaces that are up, but for loopback. */
  readonly networkUp: readonly string[];
  /** Those that are there, but down. */
  readonly networkDown: readonly string[];
  /** Files and partitions to which the system may write what programs hold in memory. */
  readonly swap: readonly string[];
  /** This program: its version and the SHA-256 of its files' `sha256sum`, hex. */
  readonly program: { readonly version: string; readonly sha256: string };
  /** Node: its version, and the SHA-256 of the program file. */
  readonly node: { readonly version: string; readonly sha256: string };
}

/** The room of a ceremony. */
export interface Room {
  look(): Promise<RoomFacts>;
}
