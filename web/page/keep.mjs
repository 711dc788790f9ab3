// Taking things away: files and links. The encoders are fetched when they are needed.

import { element } from './elements.mjs';
import { fetchMore } from './fetch_more.mjs';
import { announce, fail, setStatus, showError } from './messages.mjs';
import { nameOf } from './settings.mjs';

/** Lines of words are saved this high, or as near as whole factors come. */
const LINE_HEIGHT = 256;

/** Whether the device takes files of a type from pages. @param {string} type */
export const canShare = (type) => Boolean(navigator.canShare?.({ files: [new File([''], 'file', { type })] }));

/** @param {import('../page.mjs').App} app */
export function makeKeep(app) {
  /** @returns {import('./saving.mjs').Size} */
  const size = () => ({
    factor: Number(element('size').value) || Math.max(1, Math.round(LINE_HEIGHT / app.model.info.height)),
    rendering: app.model.info.rendering,
    transparent: !app.view.inPlay && app.model.info.rendering === 'ink' && element('transparent').checked,
  });

  /** @typedef {{ making: Promise<Blob>, parts: Array<string | number>, extension?: string }} Made */

  /** @param {(files: typeof import('./more.mjs')) => Made | null} make @param {'download' | 'share'} way */
  async function save(make, way = 'download') {
    try {
      const files = await fetchMore();
      const made = make(files);
      if (!made) return;
      const name = files.fileName(made.parts, made.extension);
      await files[way](await made.making, name);
      if (way === 'share') return;
      setStatus(`Saved ${name}`);
      announce('Saved.');
    } catch (error) {
      fail(error);
    }
  }

  /** @param {Array<string | number>} parts */
  const partsOf = (...parts) => [nameOf(app.model, app.settings.label), `s${app.settings.guidanceScale}`, ...parts];

  /** @param {NonNullable<typeof app.lettering.finished>} word */
  const wordParts = ({ text, variation }) => [text, `seed${app.lettering.seed}`, ...variation];

  /** @param {string} text @param {string} done what to say @param {string} instead a sentence to show above the text */
  async function copy(text, done, instead) {
    try {
      await navigator.clipboard.writeText(text);
      setStatus(done);
      announce(done);
    } catch {
      showError(instead, text, null, true);
    }
  }

  /** @param {import('../index.d.ts').Picture | null} picture @param {string[]} parts of the name @returns {(files: typeof import('./more.mjs')) => Made | null} */
  const makePicture = (picture, ...parts) => ({ pictureFile }) => picture &&
    { making: pictureFile(picture, size()), parts: partsOf(`seed${picture.options.seed}`, ...parts) };

  /** @param {typeof import('./more.mjs')} files @returns {Made | null} */
  const makeWord = ({ wordFile }) => {
    const word = app.lettering.finished;
    return word && { making: wordFile(word, word.box, size()), parts: wordParts(word) };
  };

  return {
    copy,
    copyLink() {
      app.links.show();
      copy(location.href, 'Link copied: it leads to these very pictures', 'The address of this page is the link:');
    },
    /** @param {import('../index.d.ts').Picture | null} [picture] @param {string[]} parts of the name */
    savePicture: (picture = app.pictures.picture, ...parts) => save(makePicture(picture, ...parts)),
    /** Outlines of a picture or, where one is on show, of the word. @param {import('../index.d.ts').Picture | null} [picture] @param {string[]} more parts of the name */
    saveSVG: (picture = null, ...more) => save(({ outlineFile }) => {
      const word = picture || app.part !== 'word' ? null : app.lettering.finished;
      const drawn = picture ?? app.pictures.picture;
      const parts = word ? wordParts(word) : drawn && partsOf(`seed${drawn.options.seed}`, ...more);
      return parts && { making: outlineFile(word ?? drawn), parts, extension: 'svg' };
    }),
    saveSheet: () => save(({ sheetFile }) => app.pictures.all &&
      { making: sheetFile(app.pictures.all, size()), parts: partsOf(`seed${app.settings.seed}`, 'sheet') }),
    /** @param {import('./films.mjs').Kind} kind */
    saveFilm: (kind) => save(({ filmFile, KINDS }) => app.pictures.picture && {
      making: filmFile(app.pictures.frames, app.pictures.picture, size(), kind),
      parts: partsOf(`seed${app.pictures.picture.options.seed}`, 'film'), extension: KINDS[kind].extension,
    }),
    saveWord: () => save(makeWord),
    /** What is on show, to other programs of the device, with its link. */
    share: () => save(app.part === 'word' ? makeWord : makePicture(app.pictures.picture), 'share'),
    /** @param {import('./paint.mjs').Image | null} image @param {string} name */
    saveImage: (image, name) => save(({ imageFile }) => image && { making: imageFile(image), parts: [name] }),
  };
}
