import { z } from 'zod';
import { quantities } from './quantity.ts';

const octets = quantities({ KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }, 6);

const ALLOWED = 'an amount of memory with its unit, as "64MiB" or "1GiB"';

/** An amount of memory as people write it: `512KiB`, `64MiB`, `1GiB`; `0MiB` is none. Octets afterwards. */
export const size = z.string({ error: ALLOWED }).regex(octets.form, ALLOWED).transform(octets.read);
