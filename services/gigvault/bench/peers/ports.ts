/** Where the peers' ports are looked for: not where a PKI of ours takes its own. */
export const PORTS = { first: 33_000, block: 8, blocks: 200 };
