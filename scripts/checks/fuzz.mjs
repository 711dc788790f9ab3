// The JavaScript fuzz targets (tests/node/fuzz.test.mjs) with many values.
//
//   node scripts/checks/fuzz.mjs [RUNS]      values for each property, default 20,000

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../../tests/node/fuzz.test.mjs', import.meta.url));
const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', file], {
  stdio: 'inherit', env: { ...process.env, PD_FUZZ_RUNS: process.argv[2] ?? '20000' },
});
process.exitCode = status ?? 1;
