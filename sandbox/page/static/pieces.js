// What blocks and elements have in common: ids, text objects, pictures, and what cannot be drawn.

import {drawLink, drawPlain, drawText, make, safeUrl} from './mrkdwn.js';

let numbers = 0;

export function fresh(what) {
  numbers += 1;
  return `bk-${what}-${numbers}`;
}

/** A text object (or a bare string) as a node. */
export function drawTextObject(text, context) {
  if (text === null || text === undefined) return null;
  if (typeof text === 'string') return drawPlain(text);
  if (text.type === 'mrkdwn') return drawText(text.text, context, Boolean(text.verbatim));
  return drawPlain(text.text, {emoji: text.emoji !== false});
}

export function wordsOf(text, context = {}) {
  const drawn = drawTextObject(text, context);
  return drawn ? drawn.textContent.trim() : '';
}

export function undrawable(type) {
  const frame = make('div', 'undrawable', 'This block cannot be drawn here: ', make('code', 'code', String(type ?? 'no type')));
  frame.setAttribute('role', 'note');
  return frame;
}

// Pictures ------------------------------------------------------------------------------------------------------------

/** A picture of ours is shown; anything else (the page loads nothing from elsewhere) is a frame with its description. */
export function drawPicture(given, context, title = null, small = false) {
  const alt = String(given.alt_text ?? '');
  const href = safeUrl(given.image_url ?? given.slack_file?.url ?? '');
  const here = href && new URL(href).origin === window.location.origin;
  const figure = make('figure', small ? 'picture small' : 'picture');
  const frame = () => {
    const sign = make('span', 'picture-sign', '🖼');
    sign.setAttribute('aria-hidden', 'true');
    const words = make('span', 'picture-words', alt || 'A picture without a description');
    const box = make('div', 'picture-frame', sign, words);
    box.setAttribute('role', 'img');
    box.setAttribute('aria-label', alt ? `Picture: ${alt}` : 'A picture without a description');
    words.setAttribute('aria-hidden', 'true');
    return box;
  };
  if (title) figure.append(make('figcaption', 'picture-title', drawTextObject(title, context)));
  if (here || /^data:image\//.test(String(given.image_url ?? ''))) {
    const image = make('img');
    image.alt = alt;
    image.loading = 'lazy';
    image.addEventListener('error', () => image.replaceWith(frame()));
    image.src = here ? href : given.image_url;
    figure.append(image);
  } else {
    figure.append(frame());
    if (href && !small) figure.append(make('div', 'aside', drawLink(href, 'Open the picture')));
  }
  return figure;
}
