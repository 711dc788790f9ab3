// Files for other programs of the device, given to them by a button.

import { setText } from './elements.mjs';

/** @typedef {{ blob: Blob, name: string }} Made */

/** Of the button. */
const WORDS = { first: 'Share', again: 'Share now' };

export class Sharer {
  #button;
  #say;
  /** What the device did not take because the click was too long ago. @type {Made | null} */
  #ready = null;
  #shown = 0; // how often what is on show has changed

  /** @param {HTMLElement} button @param {(text: string) => void} say */
  constructor(button, say) {
    this.#button = button;
    this.#say = say;
  }

  /** What is on show has changed: what was made of it is not to be shared any more, and nothing says so. */
  forget() {
    this.#shown++;
    if (this.#ready) this.#say('');
    this.#ready = null;
    setText(this.#button, WORDS.first);
  }

  /**
   * Shares a file and the address of the page. Devices take them for a few seconds after a click only: if it took longer to make the
   * file, it waits for the next one.
   * @param {() => Promise<Made | null>} make null: there is nothing, or it has changed meanwhile
   */
  async share(make) {
    const ready = this.#ready;
    const shown = this.#shown;
    const made = ready ?? await make();
    if (!made) return;
    try {
      await navigator.share({ files: [new File([made.blob], made.name, { type: made.blob.type })], title: made.name, url: location.href });
      if (shown === this.#shown) this.forget();
    } catch (error) {
      const { name } = /** @type {Error} */ (error);
      if (name === 'AbortError' || name === 'InvalidStateError') return; // the visitor has thought better of it, or is still asked
      if (name !== 'NotAllowedError' || ready) throw Object.assign(new Error(String(error)), { sentence: 'The device did not take the file. It can be saved instead.' });
      if (shown !== this.#shown) return;
      this.#ready = made;
      setText(this.#button, WORDS.again);
      this.#say(`It took so long to make the file that the device wants to be asked again. The file is ready: “${WORDS.again}”.`);
    }
  }
}
