// Speed and memory, for those who ask.

const MEGABYTE = 1e6;
const MEBIBYTE = 2 ** 20;

/** @param {number} bytes */
const megabytes = (bytes) => `${Math.round(bytes / MEGABYTE)} MB`;
/** @param {number} milliseconds */
const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(2)} s`;

/**
 * @param {object} measured
 * @param {import('../index.d.ts').ModelInfo} measured.info
 * @param {import('../index.d.ts').Placement} measured.placement
 * @param {number} measured.loadMilliseconds from the first byte asked for to a model that can draw
 * @param {{ pictures: number, steps: number, milliseconds: number } | null} measured.run the last one
 * @param {number} measured.draftSteps
 * @returns {Array<[term: string, value: string]>}
 */
export function figures({ info, placement: { workers, wanted, workerBytes, memoryBudget }, loadMilliseconds, run, draftSteps }) {
  /** @type {Array<[term: string, value: string]>} */
  const rows = [
    ['Parameters', `${(info.parameterCount / 1e6).toFixed(2)} million`],
    ['Model file', `${(info.fileBytes / MEGABYTE).toFixed(2)} MB`],
    ['Memory of the network', `${(info.memoryBytes / MEBIBYTE).toFixed(1)} MiB in each worker`],
    ['Workers', workers === wanted ? `up to ${workers}` : `${workers} of ${wanted}: each takes ${megabytes(workerBytes)}, all may take ${megabytes(memoryBudget)}`],
    ['Download and start', seconds(loadMilliseconds)],
  ];
  if (run?.pictures) {
    const each = run.milliseconds / (run.pictures * run.steps);
    rows.push(
      ['Last pictures', `${run.pictures} in ${seconds(run.milliseconds)}`],
      ['One step of one picture', `${each.toFixed(1)} ms`],
    );
  }
  rows.push(['Steps of a preview', String(draftSteps)]);
  if (info.sha256) rows.push(['SHA-256 of the model', info.sha256]);
  return rows;
}

/** @param {HTMLElement} list a <dl> @param {Array<[string, string]>} rows */
export function showFigures(list, rows) {
  list.replaceChildren(...rows.flatMap(([term, value]) => [
    Object.assign(document.createElement('dt'), { textContent: term }),
    Object.assign(document.createElement('dd'), { textContent: value }),
  ]));
}
