'use client';
import { useState } from 'react';
import 'pocket-diffusion/react';
import type { PocketDiffusionElement } from 'pocket-diffusion/react';
import 'pocket-diffusion/element.css';

export function Picture({ label }: { label: string }) {
  const [drawn, setDrawn] = useState(0);
  const listen = (element: PocketDiffusionElement) => {
    const count = () => setDrawn((before) => before + 1);
    element.addEventListener('generate', count);
    return () => element.removeEventListener('generate', count);
  };
  return <><pocket-diffusion ref={listen} src="/doodles.gguf" label={label} seed={7} guidanceScale={3} controls /><output>{drawn}</output></>;
}
