/** Reads a number with its unit. */
export interface Quantities {
  /** The form of the text: digits, and one of the units at once behind them. */
  readonly form: RegExp;
  /** In the smallest terms, as the table of units has them; of a text that has the form. */
  read(text: string): number;
}

/**
 * Numbers with these units, each with what one of it is worth.
 * @param digits how many a number may have.
 */
export function quantities(units: Readonly<Record<string, number>>, digits: number): Quantities {
  const form = new RegExp(`^([0-9]{1,${digits}})(${Object.keys(units).join('|')})$`);
  return {
    form,
    read(text) {
      const [, count, unit = ''] = form.exec(text) ?? [];
      return Number(count) * (units[unit] ?? Number.NaN);
    },
  };
}
