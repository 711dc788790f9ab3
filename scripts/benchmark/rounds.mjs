// Interleaved measurement, and what is said of the numbers.

const WARM_UP_TURNS = 3;

/**
 * What `work` takes in this thread, in milliseconds: on the clock, and of processor time. The latter is known for the
 * whole process only, whose other threads optimise code and collect garbage; the time on the clock is a bound for it.
 */
export async function measure(work) {
  const cpu = process.cpuUsage();
  const wall = performance.now();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  const elapsed = performance.now() - wall;
  return { wall: elapsed, cpu: Math.min((user + system) / 1000, elapsed) };
}

/** Deterministic numbers of zero mean and unit variance; their exact distribution does not matter. */
export function noise(count, seed) {
  const x = new Float32Array(count);
  let state = seed >>> 0;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    x[i] = (state / 2 ** 31 - 1) * Math.sqrt(3);
  }
  return x;
}

function quantile(sorted, share) {
  const position = (sorted.length - 1) * share;
  const low = Math.floor(position);
  return sorted[low] + (position - low) * (sorted[Math.ceil(position)] - sorted[low]);
}

export function statistics(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5), min: sorted[0], lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75), max: sorted.at(-1),
  };
}

export const median = (numbers) => statistics(numbers).median;

/**
 * One turn for each contestant per round, in another order every round; nothing else runs meanwhile. A turn repeats
 * the contestant's evaluation for about `turn` milliseconds and counts as one sample, the mean of its evaluations.
 *
 * `ratio` is the median over the rounds of a contestant's processor time over that of the first contestant in the
 * same round: on a shared machine the times of a round drift together, and processor time leaves waiting out.
 *
 * @param {Array<{ name: string, time: (count: number) => Promise<{ wall: number, cpu: number }> }>} contestants
 * @param {{ rounds: number, turn: number }} options
 */
export async function takeTurns(contestants, { rounds, turn }) {
  const samples = contestants.map(() => ({ wall: [], cpu: [] }));
  const counts = [];
  for (const { time } of contestants) {
    // The first evaluations are slower: engines optimise, allocators and caches fill.
    let count = 2;
    for (let warmUp = 0; warmUp < WARM_UP_TURNS; warmUp++) {
      const { wall } = await time(count);
      count = Math.max(1, Math.min(500, Math.round((turn * count) / wall)));
    }
    counts.push(count);
  }
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contestants.length; i++) {
      const index = (i + round) % contestants.length;
      const { wall, cpu } = await contestants[index].time(counts[index]);
      samples[index].wall.push(wall / counts[index]);
      samples[index].cpu.push(cpu / counts[index]);
    }
  }
  return contestants.map(({ name, note }, index) => {
    const { wall, cpu } = samples[index];
    const ratios = cpu.map((value, round) => value / samples[0].cpu[round]);
    return {
      name, note, evaluationsPerTurn: counts[index], wall: statistics(wall), cpu: statistics(cpu), ratio: statistics(ratios),
      samples: samples[index],
    };
  });
}

/** Largest difference as a share of the largest magnitude of `expected`. */
export function disagreement(actual, expected) {
  if (actual.length !== expected.length) throw new Error(`predictions of ${actual.length} and ${expected.length} numbers`);
  let largest = 0;
  let magnitude = 0;
  for (let i = 0; i < actual.length; i++) {
    if (!Number.isFinite(actual[i]) || !Number.isFinite(expected[i])) return Infinity;
    largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
    magnitude = Math.max(magnitude, Math.abs(expected[i]));
  }
  return largest / magnitude;
}
