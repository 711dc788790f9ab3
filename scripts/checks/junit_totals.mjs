// Totals of JUnit reports (ctest, node:test and pytest write them):
//   node scripts/checks/junit_totals.mjs FILE...   prints "PASSED FAILED SKIPPED"
// A report that is missing or cannot be read has no tests.
import { existsSync, readFileSync } from 'node:fs';

const totals = { passed: 0, failed: 0, skipped: 0 };
for (const file of process.argv.slice(2)) {
  if (!existsSync(file)) continue;
  // Text inside a test case is escaped, so these tags are the report's own.
  for (const testcase of readFileSync(file, 'utf8').split(/<testcase\b/).slice(1)) {
    if (/<(failure|error)\b/.test(testcase)) totals.failed++;
    else if (/<skipped\b/.test(testcase)) totals.skipped++;
    else totals.passed++;
  }
}
console.log(totals.passed, totals.failed, totals.skipped);
