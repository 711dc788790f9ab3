// What an application in TypeScript writes with the element, the Node.js export and the WebAssembly export; see
// consumer.ts.
import { load, type Model, type Picture, type StepEvent } from 'pocket-diffusion';
import {
  PocketDiffusionElement, type ElementState, type Loading, type PocketDiffusionEventMap,
} from 'pocket-diffusion/element';
import { encodePNG, makeSheet, writePNG, type Image } from 'pocket-diffusion/node';
import { compile } from 'pocket-diffusion/wasm';

export async function put(place: ParentNode): Promise<ReadonlyArray<Picture>> {
  const element = document.createElement('pocket-diffusion');
  const known: PocketDiffusionElement | null = document.querySelector('pocket-diffusion');
  const loading: Loading = known?.loading ?? 'click';
  element.src = 'doodles.gguf';
  element.label = 'cat';
  element.guidanceScale = 3;
  element.seed = 2n ** 40n;
  element.sampler = 'ddim';
  element.loading = loading;
  element.controls = element.count === null;
  element.addEventListener('load', ({ detail: { model } }) => console.log(model.labels.length));
  element.addEventListener('progress', ({ detail }) => console.log(detail.loaded / detail.total));
  element.addEventListener('step', ({ detail }: PocketDiffusionEventMap['step']) => {
    const event: StepEvent = detail;
    console.log(detail.index, event.step, event.preview?.pixels.length);
  });
  element.addEventListener('error', ({ detail }) => console.error(detail.error.message));
  element.addEventListener('click', (event: Event) => console.log(event.type));
  place.append(element);
  const state: ElementState = element.state;
  const model: Model | null = element.model;
  console.log(state, model?.info.name);
  await element.reroll();
  await element.save();
  element.stop();
  return element.generate();
}

export async function write(path: string | URL): Promise<Uint8Array> {
  const model = await load('doodles.gguf', { wasm: await compile() });
  const sheet: Image = makeSheet([await model.generate({ label: 'cat' })], { columns: 1 });
  await writePNG(path, sheet, { signal: AbortSignal.timeout(1000) });
  return encodePNG(sheet);
}

export function wrong(element: PocketDiffusionElement): void {
  // @ts-expect-error one of three words
  element.loading = 'soon';
  // @ts-expect-error read-only
  element.state = 'done';
  // @ts-expect-error a number
  element.steps = '3';
  // @ts-expect-error no pictures
  makeSheet({});
}
