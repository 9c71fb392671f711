// Menus and small panels that hang on a button. One at a time; Escape and a click elsewhere close it.

import {h, walkable} from './dom.js';
import {EMOJI} from './emoji.js';

let open = null;

/** Close what is open. `back`: the focus returns to where it came from. */
export function closeMenu(back = false) {
  if (!open) return;
  const {panel, anchor} = open;
  open = null;
  panel.remove();
  anchor.setAttribute('aria-expanded', 'false');
  if (back && anchor.isConnected) anchor.focus();
}

function hang(anchor, panel) {
  closeMenu();
  panel.classList.add('hanging');
  // In the landmark of its button, so that a reader knows where it is; in the top layer, so that nothing there cuts or covers it.
  (anchor.closest('dialog, .pane, main, nav, .topbar') ?? document.body).append(panel);
  panel.popover = 'manual';
  panel.showPopover();
  const at = anchor.getBoundingClientRect();
  const size = panel.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left, innerWidth - size.width - 8));
  const below = at.bottom + 4 + size.height < innerHeight || at.top < size.height + 8;
  panel.style.left = `${left}px`;
  panel.style.top = `${Math.max(8, below ? Math.min(at.bottom + 4, innerHeight - size.height - 8) : at.top - size.height - 4)}px`;
  anchor.setAttribute('aria-expanded', 'true');
  open = {panel, anchor};
  panel.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      event.stopPropagation();
      event.preventDefault();
      closeMenu(true);
    } else if (event.key === 'Tab' && panel.getAttribute('role') === 'menu') {
      closeMenu(true);
    }
  });
}

document.addEventListener('pointerdown', (event) => {
  if (open && !open.panel.contains(event.target) && !open.anchor.contains(event.target)) closeMenu();
});

/** A menu of `items`: {label, note, act} or {heading}. */
export function showMenu(anchor, label, items) {
  if (open?.anchor === anchor) return closeMenu(true);
  const panel = h('div', {role: 'menu', class: 'menu', 'aria-label': label},
    items.map((item) => item.heading
      ? h('p', {class: 'menu-heading', role: 'presentation'}, item.heading)
      : h('button', {type: 'button', role: 'menuitem', tabindex: '-1', onclick: () => { closeMenu(true); item.act(); }},
        h('span', {}, item.label), item.note ? h('small', {}, item.note) : null)));
  hang(anchor, panel);
  walkable(panel, '[role=menuitem]');
  panel.querySelector('[role=menuitem]')?.focus();
}

const COLUMNS = 8;
const FIRST = ['+1', 'tada', 'heart', 'raised_hands', 'eyes', 'pray', 'rocket', 'white_check_mark', 'thinking_face', 'joy'];

/** Emoji to choose from, with a search by name. */
export function showEmoji(anchor, label, chosen) {
  if (open?.anchor === anchor) return closeMenu(true);
  const grid = h('div', {class: 'emoji-grid', role: 'grid', 'aria-label': 'Emoji'});
  const none = h('p', {class: 'quiet', role: 'status'});
  const field = h('input', {type: 'search', placeholder: 'Search, as in: rocket', 'aria-label': 'Search emoji', autocomplete: 'off'});
  const draw = () => {
    const wanted = field.value.trim().toLowerCase().replaceAll(' ', '_').replaceAll(':', '');
    const names = wanted ? Object.keys(EMOJI).filter((name) => name.includes(wanted)) : [...new Set([...FIRST, ...Object.keys(EMOJI)])];
    const cells = names.filter((name) => Object.hasOwn(EMOJI, name)).slice(0, 64).map((name, at) =>
      h('span', {role: 'gridcell'}, h('button', {type: 'button', tabindex: at ? '-1' : '0', title: `:${name}:`,
        'aria-label': name.replaceAll('_', ' '), onclick: () => { closeMenu(true); chosen(name); }}, EMOJI[name])));
    const rows = [];
    while (cells.length) rows.push(h('div', {role: 'row'}, cells.splice(0, COLUMNS)));
    grid.replaceChildren(...rows);
    grid.hidden = !rows.length;
    none.textContent = rows.length ? '' : 'No emoji by that name';
  };
  field.addEventListener('input', draw);
  field.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') { event.preventDefault(); grid.querySelector('button')?.focus(); }
    if (event.key === 'Enter') { event.preventDefault(); grid.querySelector('button')?.click(); }
  });
  grid.addEventListener('keydown', (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS}[event.key];
    const all = [...grid.querySelectorAll('button')];
    const here = all.indexOf(document.activeElement);
    if (!step || here < 0) return null;
    event.preventDefault();
    if (here + step < 0) return field.focus();
    const next = all[Math.min(all.length - 1, here + step)];
    // Tab comes back to the one where one was.
    all[here].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
    return null;
  });
  draw();
  const panel = h('div', {role: 'dialog', class: 'menu emoji-picker', 'aria-label': label}, field, grid, none);
  hang(anchor, panel);
  field.focus();
}
