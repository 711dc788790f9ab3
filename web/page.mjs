// The page: brings together the model, the view on show, the form, and the parts that draw. What stands here is needed
// for the first pictures; the Lab and the sheet to draw on are fetched when somebody enters them.

import { MOST_LETTERS } from './page/address.mjs';
import { ClassPicker } from './page/classes.mjs';
import { acceptFiles } from './page/drop.mjs';
import { canShare, element } from './page/elements.mjs';
import { fetchMore, fetchPart } from './page/fetch_more.mjs';
import { Lettering } from './page/lettering.mjs';
import { Links } from './page/links.mjs';
import { takeNewVersion } from './page/new_version.mjs';
import { attempt, hideError } from './page/messages.mjs';
import { openDialog } from './page/open_dialog.mjs';
import { Pictures } from './page/pictures.mjs';
import { reportProgress } from './page/progress.mjs';
import { Session } from './page/session.mjs';
import { canBeGuided, defaultSettings, nameOf, requestOf, rollSeed } from './page/settings.mjs';
import { Studio } from './page/studio.mjs';
import { View } from './page/view.mjs';

/** @typedef {import('./page/settings.mjs').Settings} Settings */

/**
 * What the parts of the page know of each other. Of a model, its controls and its settings there is nothing before the first
 * one has come; Session.ready says when.
 * @typedef {object} App
 * @property {Studio} studio
 * @property {View} view
 * @property {Session} session
 * @property {Links} links
 * @property {import('./index.d.ts').Model} model
 * @property {string | null} path of the model, relative to the page; null: a file of the visitor's
 * @property {boolean} standIn the model is one for digits, until that of the tab has come
 * @property {import('./index.d.ts').Picture | null} sample the first picture of the model
 * @property {import('./page/controls.mjs').Controls} controls
 * @property {Settings} settings
 * @property {'word' | 'grid' | 'edit'} part that the view is about
 * @property {Lettering} lettering
 * @property {Pictures} pictures
 * @property {import('./page/studio.mjs').Board} editBoard
 * @property {import('./page/edit.mjs').Edit | null} edit null until somebody draws
 * @property {import('./page/lab.mjs').Lab | null} lab null until somebody enters it
 * @property {ReturnType<typeof import('./page/keep.mjs').makeKeep> | null} keep null until keepOf() makes it
 * @property {{ settings: Partial<Settings>, link: string } | null} playing what the address has of the dialog with ways between pictures, while that is open
 * @property {{ loadMilliseconds: number, run: { pictures: number, steps: number, milliseconds: number } | null }} measured
 * @property {(settings: Settings, how?: { draft?: boolean, again?: boolean }) => void} show
 * @property {() => void} useClasses offers the classes of the model
 * @property {(part: App['part'], report: import('./page/studio.mjs').Report) => void} report
 * @property {(picture: import('./index.d.ts').Picture | null) => Promise<void>} draw puts a picture on the sheet to draw on, and shows it
 */

/** Pictures of the classes are small: they need no more steps than these. */
const CLASS_STEPS = 10;
const CLASS_SEED = 3;

/** @type {ClassPicker | null} */
let classes = null;
/** @type {number[]} */
let classesWanted = []; // class numbers on classBoard

const app = /** @type {App} */ ({
  studio: new Studio(), path: null, standIn: false, sample: null, edit: null, keep: null, lab: null, playing: null,
  measured: { loadMilliseconds: 0, run: null },
  get settings() { return this.controls.settings; },
  get part() {
    if (this.view.drawing) return 'edit';
    return this.view.inPlay && this.lettering.usable ? 'word' : 'grid';
  },
  show, useClasses,
  report: (part, report) => reportProgress(app, part, report),
  draw: async (picture) => {
    await app.session.showView({ drawing: true });
    app.edit?.take(picture);
  },
});
app.session = new Session(app);
app.links = new Links(app);
app.view = new View((tab, drawing) => app.session.chooseTab(tab, drawing), (changes) => app.session.showView(changes));
app.studio.beforeFill = () => app.controls?.flush();
// Boards in the order of their importance.
app.lettering = new Lettering(app);
app.pictures = new Pictures(app, learnPaper);
app.editBoard = app.studio.addBoard({
  onStep: (index, { preview }) => app.edit?.showStep(index, preview),
  onPicture: (index, picture, draft) => app.edit?.showPicture(index, picture, draft),
  onReport: (report) => app.report('edit', report),
});
const classBoard = app.studio.addBoard({
  onPicture: (index, picture) => {
    learnPaper(picture);
    classes?.paint(classesWanted[index], picture);
  },
});

/** Shows the pictures of these settings. @param {Settings} settings */
function show(settings, { draft = false, again = false } = {}) {
  if (!app.session.ready) return; // it will show the settings when it is
  hideError();
  app.keep?.changed();
  const { controls, edit, lab, lettering, model, part, pictures, view } = app;
  element('page').dataset.part = part;
  controls.describe(view.inPlay, part === 'word' ? element('word-title').textContent.toLowerCase() : `“${nameOf(model, settings.label)}”`);
  element('generate').textContent = part === 'word' ? 'Other styles' : surprises() ? 'Surprise me' : 'Draw again';
  element('classes').hidden = part === 'word' || model.labels.length === 0;
  element('guidance').hidden = !canBeGuided(model);
  element('board').hidden = part !== 'grid';
  element('edit').hidden = element('draw-models').hidden = part !== 'edit';
  if (classes && settings.label !== null && !draft) classes.value = settings.label; // no slider moves it
  lettering.draw(settings, { draft });
  if (part === 'grid') pictures.draw(settings, { draft, again });
  else pictures.rest();
  if (part === 'edit') edit?.draw({ draft });
  else app.editBoard.stop();
  lab?.show(settings, { draft });
  if (!draft) drawClasses(classesWanted);
  app.links.follow({ draft });
}

/** Where nothing else is to be set, other pictures are of another class, too. */
const surprises = () => app.part === 'grid' && app.view.inPlay && app.model.labels.length > 1;

function useClasses() {
  const elements = {
    list: element('class-list'), box: element('search'), search: element('class-search'), found: element('class-found'),
    hint: element('class-hint'), wall: element('class-wall'), dialog: element('wall'),
  };
  classes = new ClassPicker(elements, app.model.labels, pickClass, drawClasses);
}

/** On a drawing another class means the same seeds. @param {number} label */
function pickClass(label) {
  if (app.view.drawing) app.controls.change({ label });
  else app.controls.pickClass(label);
}

/** Pictures of these classes are wanted for the picker. @param {number[]} labels */
function drawClasses(labels) {
  classesWanted = labels;
  if (!app.session.ready || element('classes').hidden) return classBoard.stop(); // other pictures come first
  const settings = defaultSettings(app.model);
  const steps = Math.min(settings.steps, CLASS_STEPS);
  classBoard.show(labels.map((label) => requestOf({ ...settings, label, steps, seed: CLASS_SEED })));
}

/** Any picture of a model shows the tone of its paper. @param {import('./index.d.ts').Picture} picture */
function learnPaper(picture) {
  app.sample ??= picture;
  app.edit?.learnPaper(picture);
}

/** Saves or shares what is on show in Play. @param {(keep: NonNullable<App['keep']>) => unknown} take */
const keep = (take) => attempt(async () => {
  const { keepOf } = await fetchMore();
  take(keepOf(app));
});

function stop() {
  for (const board of [app.lettering.board, app.lettering.styles?.board, app.pictures.board, app.editBoard, classBoard, app.lab?.sweepBoard]) board?.stop();
}

element('word-text').maxLength = MOST_LETTERS;
element('generate').onclick = () => {
  const { length } = app.model.labels;
  if (!app.controls.locked) history.pushState(history.state, ''); // each has its link, and the way back
  if (surprises() && !app.controls.locked) app.controls.pickClass((Number(app.settings.label) + 1 + (rollSeed() % (length - 1))) % length);
  else app.controls.drawAgain();
};
element('stop').onclick = stop;
element('play-save').onclick = () => keep((files) => (app.part === 'word' ? files.saveWord() : files.savePicture()));
element('play-svg').onclick = () => keep((files) => files.saveSVG());
element('play-link').onclick = () => app.links.copy();
element('play-share').onclick = () => keep((files) => files.share());
element('play-share').hidden = !canShare('image/png');
element('play-transparent').onchange = () => app.keep?.changed();
element('morph-open').onclick = () => openDialog(app, () => fetchPart('morph', () => import('./page/morph.mjs')));
element('poster-open').onclick = () => openDialog(app, () => fetchPart('poster', () => import('./page/poster.mjs')));
acceptFiles({ overlay: element('drop'), button: element('open'), input: element('file') }, (file) => app.session.openFile(file));
// The page is painted before megabytes are asked for: on a slow network they would be in the way of its style sheet.
element('late').remove(); // this script has come
app.session.prepare();
takeNewVersion();
const start = () => app.session.start();
if (document.hidden) setTimeout(start);
else requestAnimationFrame(() => setTimeout(start));
