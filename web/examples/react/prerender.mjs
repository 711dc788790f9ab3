// Puts what the server renders into the built page.
import { readFileSync, writeFileSync } from 'node:fs';
import { render } from './server/server.js';

writeFileSync('dist/index.html', readFileSync('dist/index.html', 'utf8').replace('<!--app-->', () => render()));
