/** A value of JSON as YAML 1.2: blocks, and every text that could be misread in JSON's quotes, which are YAML's. */
export function toYaml(value: unknown): string {
  return `${block(value, '').replace(/^\n/, '')}\n`;
}

function block(value: unknown, indent: string): string {
  if (Array.isArray(value) && value.length > 0)
    return value.map((item) => `\n${indent}- ${block(item, `${indent}  `).trimStart()}`).join('');
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0)
    return ` ${scalar(value)}`;
  return Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([key, member]) => `\n${indent}${scalar(key)}:${block(member, `${indent}  `)}`)
    .join('');
}

/** Plain only where no reader can take it for a number, a date, a boolean or syntax. */
function scalar(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  const plain = /^[A-Za-z][A-Za-z0-9_/.-]*$/.test(value);
  return plain && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value)
    ? value
    : JSON.stringify(value);
}
