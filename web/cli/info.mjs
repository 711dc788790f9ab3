// The command info: what a model file says of itself.

import { load } from '../index.mjs';
import { writeOut } from './files.mjs';
import { asJSON, printable } from './output.mjs';
import { stop } from './stopping.mjs';

/** @param {string} source @param {{ json?: boolean, graph?: boolean }} options */
export async function info(source, { json, graph }) {
  if (graph) {
    const { MAX_FILE_BYTES, STALL_TIMEOUT, readSource } = await import('../library/source.mjs');
    const { graphText } = await import('./graph.mjs');
    await writeOut(await graphText(await readSource(source, { signal: stop.signal, limit: MAX_FILE_BYTES, stallTimeout: STALL_TIMEOUT })));
    return;
  }
  const model = await load(source, { signal: stop.signal });
  const { labels, info: about } = model;
  model.close();
  if (json) {
    await writeOut(`${asJSON({ ...about, labels })}\n`);
    return;
  }
  const { recommended } = about;
  const rows = {
    name: about.name,
    description: about.description,
    author: about.author,
    license: about.license,
    source: about.sourceUrl,
    picture: `${about.width} x ${about.height}, ${about.channels} channel${about.channels === 1 ? '' : 's'}, enlarged as ${about.rendering}`,
    network: `${about.networkChannels} x ${about.networkHeight} x ${about.networkWidth}, pixel unshuffle ${about.pixelUnshuffle}`,
    parameters: about.parameterCount,
    objective: about.objective,
    schedule: `${about.schedule}, ${about.timesteps} timesteps`,
    guidance: about.guidanceIsInput ? `an input of the network, scales ${about.guidanceScaleRange.join(' to ')}` : '',
    recommended: [
      recommended.sampler, `${recommended.steps} steps`, `time grid ${recommended.timeGrid}`, `guidance scale ${recommended.guidanceScale}`,
      ...about.guidanceIsInput ? [] : [`guided at ${recommended.guidanceInterval.join(' to ')}`], `eta ${recommended.eta}`,
      ...recommended.rescale ? [`rescale ${recommended.rescale}`] : [], ...recommended.projection ? ['projection'] : [],
    ].join(', '),
    file: `${about.fileBytes} bytes, SHA-256 ${about.sha256}`,
    memory: `${about.memoryBytes} bytes`,
    labels: labels.map((label, index) => `${index} ${label}`).join(', '),
  };
  const lines = Object.entries(rows).filter(([, value]) => value !== '');
  await writeOut(lines.map(([key, value]) => `${key.padEnd(12)} ${printable(value)}\n`).join(''));
}
