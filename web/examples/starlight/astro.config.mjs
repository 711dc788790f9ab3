import starlight from '@astrojs/starlight';
import { defineConfig } from 'astro/config';

export default defineConfig({
  integrations: [starlight({
    title: 'Pictures in Starlight',
    head: [
      { tag: 'link', attrs: { rel: 'stylesheet', href: '/pocket-diffusion/pocket-diffusion.css' } },
      { tag: 'script', attrs: { type: 'module', src: '/pocket-diffusion/pocket-diffusion.js' } },
    ],
  })],
});
