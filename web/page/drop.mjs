// Files from the visitor: dropped anywhere on the page, or chosen through a button.

/** @param {DragEvent} event @returns {event is DragEvent & { dataTransfer: DataTransfer }} */
const hasFiles = (event) => event.dataTransfer?.types.includes('Files') ?? false;

/**
 * @param {{ overlay: HTMLElement, button: HTMLElement, input: HTMLInputElement }} elements overlay is shown while a file
 *   is held over the page
 * @param {(file: File) => void} onFile
 */
export function acceptFiles({ overlay, button, input }, onFile) {
  /** @param {boolean} visible */
  const show = (visible) => (overlay.hidden = !visible);
  addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    show(true);
  });
  // Leaving one element for the next has a relatedTarget; leaving the window has none.
  addEventListener('dragleave', (event) => event.relatedTarget ?? show(false));
  addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    show(false);
    const [file] = event.dataTransfer.files;
    if (file) onFile(file);
  });
  button.addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file) onFile(file);
    input.value = ''; // so that the same file can be chosen again
  });
}
