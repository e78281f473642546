import { z } from 'zod';

const OCTETS = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

const FORM = /^([0-9]{1,6})(KiB|MiB|GiB)$/;
const ALLOWED = 'an amount of memory with its unit, as "64MiB" or "1GiB"';

/** An amount of memory as people write it: `512KiB`, `64MiB`, `1GiB`; `0MiB` is none. Octets afterwards. */
export const size = z
  .string({ error: ALLOWED })
  .regex(FORM, ALLOWED)
  .transform((text) => {
    const [, count, unit] = FORM.exec(text) ?? [];
    return Number(count) * OCTETS[unit as keyof typeof OCTETS];
  });
