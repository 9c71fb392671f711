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
  (anchor.closest('dialog') ?? document.body).append(panel);
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

const FIRST = ['+1', 'tada', 'heart', 'raised_hands', 'eyes', 'pray', 'rocket', 'white_check_mark', 'thinking_face', 'joy'];

/** Emoji to choose from, with a search by name. */
export function showEmoji(anchor, label, chosen) {
  if (open?.anchor === anchor) return closeMenu(true);
  const grid = h('div', {class: 'emoji-grid', role: 'listbox', 'aria-label': 'Emoji'});
  const field = h('input', {type: 'search', placeholder: 'Search, as in: rocket', 'aria-label': 'Search emoji', autocomplete: 'off'});
  const draw = () => {
    const wanted = field.value.trim().toLowerCase().replaceAll(' ', '_').replaceAll(':', '');
    const names = wanted ? Object.keys(EMOJI).filter((name) => name.includes(wanted)) : [...new Set([...FIRST, ...Object.keys(EMOJI)])];
    grid.replaceChildren(...names.filter((name) => Object.hasOwn(EMOJI, name)).slice(0, 64).map((name, at) =>
      h('button', {type: 'button', role: 'option', 'aria-selected': 'false', tabindex: at ? '-1' : '0', title: `:${name}:`,
        'aria-label': name.replaceAll('_', ' '), onclick: () => { closeMenu(true); chosen(name); }}, EMOJI[name])));
    if (!grid.children.length) grid.append(h('p', {class: 'quiet'}, 'No emoji by that name'));
  };
  field.addEventListener('input', draw);
  field.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') { event.preventDefault(); grid.querySelector('button')?.focus(); }
    if (event.key === 'Enter') { event.preventDefault(); grid.querySelector('button')?.click(); }
  });
  grid.addEventListener('keydown', (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8}[event.key];
    const all = [...grid.querySelectorAll('button')];
    const here = all.indexOf(document.activeElement);
    if (!step || here < 0) return;
    event.preventDefault();
    if (here + step < 0) field.focus();
    else all[Math.min(all.length - 1, here + step)].focus();
  });
  draw();
  const panel = h('div', {role: 'dialog', class: 'menu emoji-picker', 'aria-label': label}, field, grid);
  hang(anchor, panel);
  field.focus();
}
