// The axes of a sweep: --rows seed=1..4, --columns guidance-scale=0,1,2.

import { messageOf } from '../library/errors.mjs';
import { suggestions } from '../library/hints.mjs';
import { UsageError } from './errors.mjs';

const MOST_VALUES = 1000;

/**
 * Values with commas between, or with semicolons if they hold commas themselves, as mixtures do; 1..4 is 1, 2, 3, 4.
 * @param {string} text @param {boolean} haveCommas
 */
function split(text, haveCommas) {
  return text.split(haveCommas || text.includes(';') ? ';' : ',').flatMap((part) => {
    const value = part.trim();
    const range = /^(\d{1,15})\.\.(\d{1,15})$/.exec(value);
    if (!range) return [value];
    const [first, last] = [Number(range[1]), Number(range[2])];
    if (last < first || last - first >= MOST_VALUES) throw new UsageError(`${value}: not a range of at most ${MOST_VALUES} numbers`);
    return Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
  });
}

/** Options that the library knows by another name. @type {Record<string, string>} */
const KEYS = { mix: 'classMix' };
/** And of those that it has and the command line has not, what comes nearest. @type {Record<string, string>} */
const FLAGS = { classMix: 'mix', noise: 'invert' };

/**
 * What is meant by an unknown name of an option.
 * @param {string} name @param {ReadonlyArray<string>} flags those that there are, without dashes before @returns {string[]} some of them
 */
export function suggestedFlags(name, flags) {
  const known = new Map(flags.map((flag) => [flag.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase()), flag]));
  for (const [library, flag] of Object.entries(FLAGS)) if (flags.includes(flag)) known.set(library, flag);
  return suggestions(name, [...known.keys()]).flatMap((each) => known.get(each) ?? []);
}

/**
 * As commander does it for an argument, with classes as the library takes them.
 * @param {any} option @param {string} text @param {(text: string) => string | number} labels @returns {unknown}
 */
function parseValue(option, text, labels) {
  const name = option.attributeName();
  if (name === 'label' || name === 'negativeLabel') return labels(text);
  if (name === 'mix') return option.parseArg(text).map((/** @type {{ label: string, weight: number }} */ { label, weight }) => ({ label: labels(label), weight }));
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
  const names = options.map(({ long }) => long?.slice(2) ?? '');
  const meant = option ? [] : suggestedFlags(name, names);
  if (!option) throw new UsageError(`${flag}: no option ${JSON.stringify(name)}; ${meant.length > 0 ? `did you mean ${meant.join(' or ')}?` : `one of ${names.join(', ')}`}`);
  const texts = text.includes('=') ? split(text.slice(text.indexOf('=') + 1), name === 'mix') : [];
  if (texts.length === 0 || texts.length > MOST_VALUES) throw new UsageError(`${flag}: must be ${name}=VALUE,VALUE,... with 1 to ${MOST_VALUES} values`);
  const values = texts.map((value) => {
    try {
      return parseValue(option, value, labels);
    } catch (error) {
      throw new UsageError(`${flag}: ${name}=${value}: ${messageOf(error)}`);
    }
  });
  const attribute = option.attributeName();
  return { text, key: KEYS[attribute] ?? attribute, name, texts, values };
}
