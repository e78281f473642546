/** How a transcript tells that a holder has read a share back. @param index from 1. */
export function readBackStep(index: number, holders: number, name: string): string {
  return `share ${index} of ${holders} read back by ${name}`;
}

/** How a transcript tells that only the shares open the key. */
export const LOCKED_STEP = 'locked the root key under the shares';
