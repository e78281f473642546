import { z } from 'zod';

/** Query parameters of every list that is read page by page; to be spread into the operation's own. */
export const PAGE_QUERY = {
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('Items of a page'),
  cursor: z
    .string()
    .max(300)
    .default('')
    .describe('`nextCursor` of the page before; absent for the first page'),
};

/** The schema of one page. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    nextCursor: z.string().optional().describe('Absent on the last page'),
  });
}

/** One page. @param nextCursor empty on the last */
export function page<T>(items: readonly T[], nextCursor: string): object {
  return { items, ...(nextCursor === '' ? {} : { nextCursor }) };
}
