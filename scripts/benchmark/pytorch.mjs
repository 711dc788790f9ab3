// Native PyTorch as a contestant: one thread, in a process that waits unless it has its turn.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const SCRIPT = 'scripts/benchmark/pytorch_contestant.py';

export class PyTorch {
  #process = spawn('.venv/bin/python', [SCRIPT], {
    stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' },
  });
  #waiting = []; // for answers, in order

  constructor() {
    this.#process.on('error', (error) => this.#end(error.message));
    this.#process.on('exit', () => this.#end('it ended'));
    this.#process.stdin.on('error', () => {}); // it has ended: told above
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const { error, ...answer } = JSON.parse(line);
      const { resolve, reject } = this.#waiting.shift();
      if (error) reject(new Error(`${SCRIPT}: ${error}`));
      else resolve(answer);
    });
  }

  #end(reason) {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${SCRIPT}: ${reason}`));
  }

  #ask(op, values = {}) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#process.stdin.write(`${JSON.stringify({ op, ...values })}\n`);
    });
  }

  /** Contestant; the one before it is not usable any more. */
  async open({ model }, { x, t, label, shape }) {
    const { version } = await this.#ask('load', { path: model });
    this.version = version;
    const bytes = Buffer.from(x.buffer, x.byteOffset, x.byteLength);
    const { format } = await this.#ask('prepare', { x: bytes.toString('base64'), t, label, count: shape[0] });
    return {
      name: 'PyTorch',
      note: format,
      predict: async () => {
        const { prediction } = await this.#ask('predict');
        return new Float32Array(Uint8Array.from(Buffer.from(prediction, 'base64')).buffer);
      },
      time: (count) => this.#ask('time', { count }),
    };
  }

  close() {
    this.#process.stdin.end();
  }
}
