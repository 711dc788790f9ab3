// The axes of a sweep: --rows seed=1..4, --columns guidance-scale=0,1,2.

import { UsageError } from './errors.mjs';

const MOST_VALUES = 1000;

/** Values with commas between, or with semicolons if they hold commas themselves; 1..4 is 1, 2, 3, 4. */
function split(text) {
  return text.split(text.includes(';') ? ';' : ',').flatMap((part) => {
    const value = part.trim();
    const range = /^(\d{1,15})\.\.(\d{1,15})$/.exec(value);
    if (!range) return [value];
    const [first, last] = [Number(range[1]), Number(range[2])];
    if (last < first || last - first >= MOST_VALUES) throw new UsageError(`${value}: not a range of at most ${MOST_VALUES} numbers`);
    return Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
  });
}

/** As commander does it for an argument. */
function parseValue(option, text, labels) {
  if (option.attributeName() === 'label') return labels(text);
  if (!option.required) { // a switch
    if (text !== 'true' && text !== 'false') throw new UsageError('must be true or false');
    return text === 'true';
  }
  return option.parseArg ? option.parseArg(text) : text;
}

/**
 * @param {string} text NAME=VALUES @param {string} flag that it was given with
 * @param {import('commander').Option[]} options that can be an axis
 * @param {(text: string) => string | number} labels makes a class of a text
 * @returns {{ text: string, key: string, name: string, texts: string[], values: unknown[] }}
 */
export function parseAxis(text, flag, options, labels) {
  const name = text.split('=', 1)[0].trim();
  const option = options.find(({ long }) => long === `--${name}`);
  if (!option) throw new UsageError(`${flag}: no option ${JSON.stringify(name)}; one of ${options.map(({ long }) => long.slice(2)).join(', ')}`);
  const texts = text.includes('=') ? split(text.slice(text.indexOf('=') + 1)) : [];
  if (texts.length === 0 || texts.length > MOST_VALUES) throw new UsageError(`${flag}: must be ${name}=VALUE,VALUE,... with 1 to ${MOST_VALUES} values`);
  const values = texts.map((value) => {
    try {
      const parsed = parseValue(option, value, labels);
      return option.attributeName() === 'negativeLabel' ? labels(parsed) : parsed;
    } catch (error) {
      throw new UsageError(`${flag}: ${name}=${value}: ${error.message}`);
    }
  });
  return { text, key: option.attributeName(), name, texts, values };
}
