// Results as Markdown tables, for docs/speed.md:
//
//   node scripts/benchmark/markdown.mjs dist/benchmark/results.json

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const OTHERS = ['relaxed SIMD', 'onnxruntime-web', 'PyTorch', 'tfjs-wasm'];

const fixed = (value, digits = 1) => value.toFixed(digits);

function table(header, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = header.map((_, column) => (column === 0 ? '---' : '---:'));
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}

/** "3.9" or, where the contestant did not take part, "-". */
function ratioTo(results, name) {
  const found = results.find((each) => each.name === name);
  return found ? fixed(found.ratio.median, name === 'relaxed SIMD' ? 2 : 1) : '-';
}

/** @param {'forward' | 'guidedStep'} key */
const networkTable = (networks, key, title) => table([title, 'input', 'parameters', 'ms', ...OTHERS],
  networks.map(({ network, input, parameters, [key]: results }) => [
    network, input.join(' x '), `${fixed(parameters / 1e6, 2)} M`, fixed(results[0].cpu.median), ...OTHERS.map((name) => ratioTo(results, name))]));

const pictureTable = (results) => table(['A guided doodle, 20 DDIM steps', 'ms', 'times ours'],
  results.map(({ name, cpu, ratio }) => [name, fixed(cpu.median), fixed(ratio.median, 2)]));

const workerTable = (sheets) => table(['Sheet of nine guided doodles', 'ms on the clock', 'speed-up'],
  sheets.map(({ workers, wall }) => [`${workers} worker${workers > 1 ? 's' : ''}`, fixed(wall.median, 0), fixed(sheets[0].wall.median / wall.median, 2)]));

function startUpTable({ fileBytes, milliseconds, model, linearMemory }) {
  const time = (name) => `${fixed(milliseconds[name].median, 2)} ms`;
  return table(['Start-up of doodles, in a fresh process', ''], [
    ['compiling the module', time('compile')],
    [`from the file's ${fileBytes.toLocaleString('en')} bytes to ready (parse, check, pack)`, time('ready')],
    ['`memcpy` of the same bytes', time('memcpy')],
    ['first guided step, code not optimised yet', time('firstStep')],
    ['memory held by the model', `${fixed(model / 1e6)} MB`],
    ['whole memory of the WebAssembly instance after loading', `${fixed(linearMemory / 1e6)} MB`],
  ]);
}

/** Of results.json. */
export function markdown({ command, date, machine, versions, rounds, networks, picture, workers, startUp }) {
  const before = machine.loadAverage[0].toFixed(1);
  const after = machine.loadAverageAfter[0].toFixed(1);
  const names = { node: 'Node.js', 'onnxruntime-web': 'onnxruntime-web', tfjs: 'TensorFlow.js', pytorch: 'PyTorch' };
  const used = Object.entries(names).filter(([key]) => versions[key]).map(([key, name]) => `${name} ${versions[key]}`);
  return [
    `\`${command}\`, ${date.slice(0, 10)}: ${machine.processor}, ${machine.cores} cores (${machine.instructions.join(', ')}), load average ` +
      `${before} to ${after}; ${used.join(', ')}; ${rounds} rounds.`,
    'Processor time of one evaluation: ours in milliseconds, the others as multiples of it.',
    networks && networkTable(networks, 'forward', 'One image'), networks && networkTable(networks, 'guidedStep', 'Batch of two'),
    picture && pictureTable(picture), workers && workerTable(workers), startUp && startUpTable(startUp),
  ].filter(Boolean).join('\n\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(markdown(JSON.parse(readFileSync(process.argv[2], 'utf8'))));
}
