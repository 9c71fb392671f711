// Making elements. Text is always a text node: nothing in the page parses HTML that somebody wrote.

/** An element: `props` are attributes, `on…` listeners, `class`, `text`; a value of false or null is left out. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'class') node.className = value;
    else if (name === 'text') node.textContent = value;
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SHAPES = {
  send: 'M3 11.5 21 3l-5.5 18-4-7.5z',
  thread: 'M4 5h16v10H10l-4 4v-4H4z',
  smile: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M8.5 14.5c2 2.4 5 2.4 7 0M9 9.5v.5M15 9.5v.5',
  more: 'M6 12h.01M12 12h.01M18 12h.01',
  bolt: 'M13 3 5 14h6l-1 7 8-11h-6z',
  close: 'M6 6l12 12M18 6 6 18',
  menu: 'M4 7h16M4 12h16M4 17h16',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7.5V12l3 2',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16 16l4.5 4.5',
  eye: 'M2.5 12C5 7.5 8.5 5.5 12 5.5s7 2 9.5 6.5c-2.5 4.5-6 6.5-9.5 6.5S5 16.5 2.5 12M12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5',
  lens: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5 20 20M8 10.5h5M10.5 8v5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4',
  play: 'M7 4.5v15l12-7.5z',
  stop: 'M6.5 6.5h11v11h-11z',
  hash: 'M9 4 7 20M17 4l-2 16M4.5 9h16M3.5 15h16',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  down: 'M12 5v13M6 12.5l6 6 6-6',
  chevron: 'M6 9.5l6 6 6-6',
};

/** A small line drawing; decoration only, what it stands beside has a name of its own. */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', SHAPES[name]);
  svg.append(path);
  return svg;
}

/** A button that shows only a drawing: its name is spoken, and shown on hover. */
export function iconButton(name, label, onclick, more = {}) {
  return h('button', {type: 'button', class: 'icon-button', 'aria-label': label, title: label, onclick, ...more}, icon(name));
}

/** The initials of somebody, on a colour of their own; the app has a drawing. */
export function avatar(person, size = '') {
  const name = person?.name || '?';
  const latin = name.split(/[\s.]+/u).filter((word) => /^\p{Script=Latin}/u.test(word));
  const words = latin.length ? latin : name.split(/\s+/u).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : '']
    .map((word) => [...new Intl.Segmenter().segment(word || '')][0]?.segment ?? '').join('');
  let sum = 0;
  for (const letter of person?.id ?? name) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  const tone = person?.bot ? 'tone-app' : `tone-${sum % 8}`;
  return h('span', {class: `avatar ${tone} ${size}`, 'aria-hidden': 'true'}, letters.toLocaleUpperCase());
}

/** Whether a key pressed now belongs to something one types into. */
export function isTyping(target) {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable="true"]') !== null;
}

/** Arrow keys, Home and End walk through what `selector` finds in `list`. */
export function walkable(list, selector) {
  list.addEventListener('keydown', (event) => {
    const step = {ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity}[event.key];
    if (step === undefined || isTyping(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = [...list.querySelectorAll(selector)].filter((each) => each.offsetParent !== null);
    const here = all.findIndex((each) => each.contains(document.activeElement));
    const next = all[Math.min(all.length - 1, Math.max(0, here + step))];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}
