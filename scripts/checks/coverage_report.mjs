// Compares llvm-cov's JSON with what must be reached:
//   node scripts/checks/coverage_report.mjs FILE [--missing]
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

/** Reading files, memory, options, PNG: every line and every branch. */
const WHOLE = ['gguf.c', 'gguf_values.c', 'gguf_weights.c', 'config.c', 'model.c', 'memory.c', 'run.c', 'edit.c', 'png.c'];
/** Of the rest: each file and all of them together. */
const EACH = 90;
const TOGETHER = 95;
/** Lines that no test can reach, by what they contain, and how many branches lead there. */
const UNREACHABLE = [
  // stops before memory is overwritten, were the bound wrong that is computed for stb_image_write
  { file: 'png.c', text: '__builtin_trap()', lines: 1, branches: 2 },
];

const [path, option] = process.argv.slice(2);
const [data] = JSON.parse(readFileSync(path, 'utf8')).data;
const together = { lines: { count: 0, covered: 0 }, branches: { count: 0, covered: 0 } };
const short = [];
const percent = ({ count, covered }) => (count ? (100 * covered) / count : 100);
const show = (share) => `${percent(share).toFixed(1).padStart(5)} % of ${String(share.count).padStart(4)}`;

for (const file of data.files) {
  const name = relative('src', file.filename);
  if (name.startsWith('..')) continue;
  const source = readFileSync(file.filename, 'utf8');
  const share = {};
  for (const kind of ['lines', 'branches']) {
    const { count, covered } = file.summary[kind];
    const excused = UNREACHABLE.filter((line) => line.file === name && source.includes(line.text)).reduce((sum, line) => sum + line[kind], 0);
    share[kind] = { count: count - excused, covered };
    if (!WHOLE.includes(name)) {
      together[kind].count += count;
      together[kind].covered += covered;
    }
    const wanted = WHOLE.includes(name) ? 100 : EACH;
    if (percent(share[kind]) < wanted) short.push(`${name}: ${percent(share[kind]).toFixed(1)} % of ${kind}, wanted are ${wanted} %`);
  }
  console.log(`${name.padEnd(28)} lines ${show(share.lines)}   branches ${show(share.branches)}`);
  if (option !== '--missing') continue;
  const missed = new Set(file.branches.filter((branch) => !branch[4] || !branch[5]).map(([line, column]) => `${line}:${column}`));
  if (missed.size) console.log(`  missed or only one way: ${[...missed].join(' ')}`);
}
for (const kind of ['lines', 'branches']) {
  if (percent(together[kind]) < TOGETHER) short.push(`together: ${percent(together[kind]).toFixed(1)} % of ${kind}, wanted are ${TOGETHER} %`);
}
for (const name of WHOLE) if (!data.files.some((file) => relative('src', file.filename) === name)) short.push(`${name} is missing`);
console.log(`all others together          lines ${show(together.lines)}   branches ${show(together.branches)}`);
for (const line of short) console.error(line);
process.exitCode = short.length ? 1 : 0;
