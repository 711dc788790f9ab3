// What was measured, for people and for programs.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';

const rounded = (value, digits = 2) => (value === undefined ? '' : +value.toFixed(digits));

/** First line of a command's output, or null where it is not installed. */
function firstLine(command, ...args) {
  try {
    return String(execFileSync(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })).split('\n')[0].trim();
  } catch {
    return null;
  }
}

export function describeMachine() {
  return {
    processor: cpus()[0].model, cores: cpus().length, memoryBytes: totalmem(), platform: `${process.platform}-${process.arch}`,
    instructions: existsSync('/proc/cpuinfo')
      ? ['avx2', 'fma', 'avx512f'].filter((name) => new RegExp(`\\b${name}\\b`).test(readFileSync('/proc/cpuinfo', 'utf8')))
      : [],
    loadAverage: loadavg(),
  };
}

export const compilerVersions = () => ({ emscripten: firstLine('emcc', '--version'), clang: firstLine('clang-19', '--version') });

/** A table of contestants on the screen; the first one is ours. */
export function printContestants(title, results) {
  console.log(`\n${title}`);
  console.table(Object.fromEntries(results.map(({ name, note, cpu, wall, ratio, disagreement }) => [
    note ? `${name} (${note})` : name,
    {
      'CPU ms': rounded(cpu.median), quartiles: `${rounded(cpu.lowerQuartile)} .. ${rounded(cpu.upperQuartile)}`,
      'least .. most': `${rounded(cpu.min)} .. ${rounded(cpu.max)}`, 'wall ms': rounded(wall.median), 'times ours': rounded(ratio.median),
      error: disagreement === undefined ? '' : disagreement.toExponential(1),
    },
  ])));
}

/** One line per network: CPU milliseconds of ours and the ratios of the others to it. */
export function printSummary(networks) {
  console.log('\nProcessor time of one evaluation: ours in milliseconds, the others as a multiple of it');
  const line = (results, label) => Object.fromEntries([
    [`${label}: ms`, rounded(results[0].cpu.median)],
    ...results.slice(1).map(({ name, ratio }) => [`${label}: ${name}`, rounded(ratio.median)]),
  ]);
  console.table(Object.fromEntries(networks.map(({ network, forward, guidedStep }) => [
    network, { ...line(forward, '1'), ...line(guidedStep, '2') },
  ])));
}

export function printStartUp({ fileBytes, milliseconds, model, linearMemory }) {
  console.log(`\nStart-up, a fresh process each time (file of ${fileBytes} bytes; model ${model} bytes, linear memory ${linearMemory} bytes)`);
  console.table(Object.fromEntries(Object.entries(milliseconds).map(([name, { median, min, max }]) => [
    name, { 'median ms': rounded(median, 3), min: rounded(min, 3), max: rounded(max, 3) }])));
}

function printDragging(view, { count, updatesPerSecond, steps, longestTask }) {
  const busy = longestTask === null ? 'how long the page was busy this browser does not tell' : `longest task ${longestTask ? rounded(longestTask, 0) : 'below 50'} ms`;
  console.log(`The slider dragged in ${view}: ${count} pictures of ${steps} steps (median) ${rounded(updatesPerSecond)} times a second; ${busy}`);
}

export function printBrowser({ version, firstStep, longestGap, disagreement, results, dragging }) {
  console.log(`\n${version}: from load() to the first step ${rounded(firstStep, 0)} ms; ` +
    `the page did not answer for ${rounded(longestGap, 0)} ms at most while all workers drew; largest disagreement ${disagreement.toExponential(1)}`);
  console.table(Object.fromEntries(results.map(({ name, wall }) => [
    name, { 'wall ms': rounded(wall.median), quartiles: `${rounded(wall.lowerQuartile)} .. ${rounded(wall.upperQuartile)}`, 'least .. most': `${rounded(wall.min)} .. ${rounded(wall.max)}` },
  ])));
  printDragging('Play', dragging.play);
  printDragging('the Lab', dragging.lab);
}

export function printWorkers(sheets) {
  console.log(`\nSheet of ${sheets[0].pictures} guided 20-step doodles`);
  console.table(Object.fromEntries(sheets.map(({ workers, wall }) => [
    `${workers} worker${workers > 1 ? 's' : ''}`,
    { 'wall ms': rounded(wall.median), 'least .. most': `${rounded(wall.min)} .. ${rounded(wall.max)}`, speedup: rounded(sheets[0].wall.median / wall.median) },
  ])));
}
