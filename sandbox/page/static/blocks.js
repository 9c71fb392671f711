// Block Kit, drawn as DOM nodes.
import {drawText} from './mrkdwn.js';
export {drawText};

export function drawBlocks(blocks, context) {
  const drawn = document.createDocumentFragment();
  for (const block of blocks ?? []) {
    if (block.text) drawn.append(drawText(block.text.text ?? block.text, context));
  }
  return drawn;
}
