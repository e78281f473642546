/** This program's version, as transcripts record it. A test compares it with package.json. */
export const VERSION = '0.1.0';
