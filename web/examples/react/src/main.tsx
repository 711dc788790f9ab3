import { createRoot, hydrateRoot } from 'react-dom/client';
import { App } from './App.tsx';

const root = document.getElementById('root')!;
if (root.firstElementChild) hydrateRoot(root, <App />); // the server has rendered it
else createRoot(root).render(<App />);
