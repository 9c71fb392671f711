// Modals.
import {drawBlocks} from './blocks.js';

export function openModal(view, handlers) {
  const dialog = document.createElement('dialog');
  dialog.append(drawBlocks(view.blocks, handlers.context));
  document.body.append(dialog);
  dialog.showModal();
  return {update() {}, close() { dialog.close(); dialog.remove(); }};
}
