import { useState } from 'react';
import 'pocket-diffusion/react';
import type { PocketDiffusionElement } from 'pocket-diffusion/react';
import 'pocket-diffusion/element.css';

export function App() {
  const [scale, setScale] = useState<number | undefined>(3);
  const [drawn, setDrawn] = useState(0);
  const listen = (element: PocketDiffusionElement) => {
    const count = () => setDrawn((before) => before + 1);
    element.addEventListener('generate', count);
    return () => element.removeEventListener('generate', count);
  };
  return (
    <>
      <pocket-diffusion ref={listen} src="/doodles.gguf" label="cat" seed={7} guidanceScale={scale} controls />
      <p><button onClick={() => setScale(5)}>Scale 5</button> <button onClick={() => setScale(undefined)}>As recommended</button> <output>{drawn}</output></p>
    </>
  );
}
