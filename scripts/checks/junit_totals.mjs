// Totals of JUnit reports (ctest, node:test and pytest write them):
//   node scripts/checks/junit_totals.mjs FILE...              prints "PASSED FAILED SKIPPED"
//   node scripts/checks/junit_totals.mjs --slowest N FILE...  prints what took longest, seconds first
// A report that is missing or cannot be read has no tests.

import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { XMLParser } from 'fast-xml-parser';

const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '', isArray: (name) => name === 'testcase' || name === 'testsuite' });

/** The cases of a report; suites may lie in suites. @returns {Array<Record<string, any>>} */
function casesOf(node) {
  if (node === null || typeof node !== 'object') return [];
  return [...(node.testcase ?? []), ...(node.testsuite ?? []).flatMap(casesOf), ...(node.testsuites ? casesOf(node.testsuites) : [])];
}

function read(file) {
  if (!existsSync(file)) return [];
  try {
    return casesOf(parser.parse(readFileSync(file, 'utf8')));
  } catch {
    return [];
  }
}

const slowest = process.argv[2] === '--slowest' ? Number(process.argv[3]) : 0;
const cases = process.argv.slice(slowest ? 4 : 2).flatMap((file) => read(file).map((each) => ({ ...each, report: basename(file, '.xml') })));
if (slowest) {
  cases.sort((a, b) => Number(b.time) - Number(a.time));
  for (const { time, report, classname, name } of cases.slice(0, slowest)) console.log(`${Number(time).toFixed(1).padStart(7)}  ${report}  ${classname === 'test' ? '' : `${classname} `}${name}`);
} else {
  const failed = cases.filter((each) => 'failure' in each || 'error' in each).length;
  const skipped = cases.filter((each) => 'skipped' in each && !('failure' in each || 'error' in each)).length;
  console.log(cases.length - failed - skipped, failed, skipped);
}
