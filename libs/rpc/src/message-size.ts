const MIB = 1024 * 1024;

/** The most that one signature is asked for, in octets: the to-be-signed list of a CRL with about 1,400,000 entries. */
export const LARGEST_TO_BE_SIGNED = 64 * MIB;

/** The largest message either way, in octets: that list, and what stands around it. */
export const MAX_MESSAGE = LARGEST_TO_BE_SIGNED + MIB;

/** The longest TBSCertList that is signed in parts, in octets: about 5,000,000 entries. */
export const LARGEST_LIST = 256 * MIB;

/** The longest part of one, in octets. */
export const LARGEST_LIST_PART = 4 * MIB;

/** Octets that may be on their way on one stream: it carries many calls, and one that is larger than the rest must not stop them. */
export const FLOW_CONTROL_WINDOW = 4 * MIB;
