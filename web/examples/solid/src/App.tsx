import { createSignal } from 'solid-js';
import 'pocket-diffusion/solid';
import 'pocket-diffusion/element.css';

export function App() {
  const [scale, setScale] = createSignal<number | undefined>(3);
  const [drawn, setDrawn] = createSignal(0);
  return (
    <>
      <pocket-diffusion src="/doodles.gguf" label="cat" seed={7} guidanceScale={scale()} controls on:generate={() => setDrawn(drawn() + 1)} />
      <p><button onClick={() => setScale(5)}>Scale 5</button> <button onClick={() => setScale(undefined)}>As recommended</button> <output>{drawn()}</output></p>
    </>
  );
}
