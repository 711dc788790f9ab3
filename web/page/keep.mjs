// Files of what is on show, to be saved or shared.

import { element } from './elements.mjs';
import { KINDS } from './films.mjs';
import { announce, attempt, setStatus } from './messages.mjs';
import { download, fileName, filmFile, imageFile, outlineFile, pictureFile, sheetFile, wordFile } from './saving.mjs';
import { nameOf } from './settings.mjs';
import { Sharer } from './sharing.mjs';

/** Lines of words are saved this high, or as near as whole factors come. */
const LINE_HEIGHT = 256;

/** @param {import('../page.mjs').App} app */
export function makeKeep(app) {
  /** @returns {import('./saving.mjs').Size} */
  const size = () => ({
    factor: Number(element('size').value) || Math.max(1, Math.round(LINE_HEIGHT / app.model.info.height)),
    rendering: app.model.info.rendering,
    transparent: app.model.info.rendering === 'ink' && element(app.view.inPlay ? 'play-transparent' : 'transparent').checked,
  });

  /** @typedef {{ making: Promise<Blob>, parts: Array<string | number>, extension?: string }} Made */

  const sharer = new Sharer(element('play-share'), (text) => {
    setStatus(text);
    announce(text);
  });

  /** @param {Made} made */
  const finish = async ({ making, parts, extension }) => ({ blob: await making, name: fileName(parts, extension) });

  /** @param {() => Made | null} make */
  const save = (make) => attempt(async () => {
    const made = make();
    if (!made) return;
    const { blob, name } = await finish(made);
    download(blob, name);
    setStatus(`Saved ${name}`);
    announce('Saved.');
  });

  /** @param {Array<string | number>} parts */
  const partsOf = (...parts) => [nameOf(app.model, app.settings.label), `s${app.settings.guidanceScale}`, ...parts];

  /** @param {NonNullable<typeof app.lettering.finished>} word */
  const wordParts = ({ text, variation }) => [text, `seed${app.lettering.seed}`, ...variation];

  /** @param {import('../index.d.ts').Picture | null} picture @param {string[]} parts of the name @returns {() => Made | null} */
  const makePicture = (picture, ...parts) => () => picture &&
    { making: pictureFile(picture, size()), parts: partsOf(`seed${picture.options.seed}`, ...parts) };

  /** @returns {Made | null} */
  const makeWord = () => {
    const word = app.lettering.finished;
    return word && { making: wordFile(word, word.box, size()), parts: wordParts(word) };
  };

  return {
    /** @param {import('../index.d.ts').Picture | null} [picture] @param {string[]} parts of the name */
    savePicture: (picture = app.pictures.picture, ...parts) => save(makePicture(picture, ...parts)),
    /** Outlines of a picture or, where one is on show, of the word. @param {import('../index.d.ts').Picture | null} [picture] @param {string[]} more parts of the name */
    saveSVG: (picture = null, ...more) => save(() => {
      const word = picture || app.part !== 'word' ? null : app.lettering.finished;
      const drawn = picture ?? app.pictures.picture;
      const parts = word ? wordParts(word) : drawn && partsOf(`seed${drawn.options.seed}`, ...more);
      return parts && { making: outlineFile(word ?? drawn), parts, extension: 'svg' };
    }),
    saveSheet: () => save(() => app.pictures.all &&
      { making: sheetFile(app.pictures.all, size()), parts: partsOf(`seed${app.settings.seed}`, 'sheet') }),
    /** @param {import('./films.mjs').Kind} kind */
    saveFilm: (kind) => save(() => app.pictures.picture && {
      making: filmFile(app.pictures.frames, app.pictures.picture, size(), kind),
      parts: partsOf(`seed${app.pictures.picture.options.seed}`, 'film'), extension: KINDS[kind].extension,
    }),
    saveWord: () => save(makeWord),
    /** What is on show, to other programs of the device, with its link. */
    share: () => attempt(() => sharer.share(async () => {
      const made = app.part === 'word' ? makeWord() : makePicture(app.pictures.picture)();
      return made && finish(made);
    })),
    /** What is on show has changed. */
    changed: () => sharer.forget(),
    /** @param {import('./paint.mjs').Image | null} image @param {string} name */
    saveImage: (image, name) => save(() => image && { making: imageFile(image), parts: [name] }),
  };
}

/** The one of the page: made when it is first asked for. @param {import('../page.mjs').App} app */
export const keepOf = (app) => (app.keep ??= makeKeep(app));
