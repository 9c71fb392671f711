// Where one writes: Enter sends, Shift+Enter starts a line, "/" offers commands.

import {h, icon, iconButton} from './dom.js';
import {showEmoji, showMenu} from './menu.js';

let numbers = 0;

/** What one may type after "/": each command, and what its usage hint names ("help | me | pause"). */
export function offers(commands) {
  const found = [];
  for (const each of commands) {
    found.push({text: each.command, note: each.description});
    for (const part of each.hint.split('|').map((word) => word.trim()).filter(Boolean)) {
      const words = part.replace(/[[\]⟨⟩<>]/g, '').trim();
      found.push({text: `${each.command} ${words}`, note: ''});
    }
  }
  return found;
}

/**
 * A place to write. `send(text)` resolves to '' or to words for what went wrong; then the text stays.
 * `app`: what the manifest offers; `shortcut(callback_id)`: a global shortcut was chosen. `commands`: whether "/" works here.
 */
export function composer({label, send, app, shortcut = null, commands = true}) {
  numbers += 1;
  const id = `offers-${numbers}`;
  const list = h('ul', {id, role: 'listbox', 'aria-label': 'Commands', class: 'offers', hidden: true});
  const trouble = h('p', {class: 'trouble', role: 'alert'});
  const field = h('textarea', {
    rows: '1', 'aria-label': label, placeholder: label, maxlength: '12000', autocomplete: 'off', dir: 'auto',
  });
  const count = h('p', {class: 'hidden', role: 'status'});
  const button = h('button', {type: 'submit', class: 'icon-button send', 'aria-label': 'Send', title: 'Send (Enter)', disabled: true}, icon('send'));
  let chosen = -1;
  let dismissed = '';

  const grow = () => {
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight, innerHeight * 0.4)}px`;
    button.disabled = !field.value.trim();
  };
  // While commands are offered the field is a combobox with one line, "/…"; otherwise it is a field for lines of text.
  const combines = (on) => {
    for (const [name, value] of Object.entries({role: 'combobox', 'aria-expanded': 'true', 'aria-haspopup': 'listbox', 'aria-controls': id, 'aria-autocomplete': 'list'})) {
      if (on) field.setAttribute(name, value);
      else field.removeAttribute(name);
    }
  };
  const close = () => {
    list.hidden = true;
    chosen = -1;
    field.removeAttribute('aria-activedescendant');
    combines(false);
    count.textContent = '';
  };
  const choose = (at) => {
    chosen = at;
    [...list.children].forEach((row, number) => {
      row.setAttribute('aria-selected', String(number === at));
      if (number === at) row.scrollIntoView({block: 'nearest'});
    });
    if (at >= 0) field.setAttribute('aria-activedescendant', list.children[at].id);
    else field.removeAttribute('aria-activedescendant');
  };
  const take = (offer) => {
    field.value = offer.text + ' ';
    close();
    grow();
    suggest();
    field.focus();
  };
  const suggest = () => {
    if (!commands || !field.value.startsWith('/') || field.value.includes('\n') || field.value === dismissed) return close();
    const typed = field.value.toLowerCase().trimEnd();
    const fitting = offers(app.commands).filter((each) => each.text.toLowerCase().startsWith(typed) && each.text.toLowerCase() !== typed);
    const none = !app.commands.some((each) => typed.startsWith(each.command));
    list.replaceChildren(...fitting.slice(0, 8).map((each, at) => h('li', {
      id: `${id}-${at}`, role: 'option', 'aria-selected': 'false',
      onpointerdown: (event) => { event.preventDefault(); take(each); },
    }, h('strong', {}, each.text), each.note ? h('span', {class: 'quiet'}, each.note) : null)));
    list.hidden = !fitting.length;
    combines(!list.hidden);
    count.textContent = list.hidden ? '' : `${fitting.length === 1 ? '1 command' : `${fitting.length} commands`}: arrow keys choose, Tab takes.`;
    choose(!list.hidden && none ? 0 : -1);
  };
  // Whoever writes faster than it is sent loses nothing: one is sent after the other.
  let sent = Promise.resolve();
  let waiting = 0;
  const submit = async () => {
    const text = field.value.trim();
    if (!text) return;
    close();
    waiting += 1;
    form.setAttribute('aria-busy', 'true');
    trouble.textContent = '';
    const kept = field.value;
    field.value = '';
    grow();
    const answer = sent.then(() => send(text));
    sent = answer.catch(() => {});
    const wrong = await answer.finally(() => {
      waiting -= 1;
      if (!waiting) form.removeAttribute('aria-busy');
    });
    trouble.textContent = wrong.words ?? '';
    if (wrong.keep && !field.value) field.value = kept;
    grow();
  };

  field.addEventListener('input', () => { trouble.textContent = ''; grow(); suggest(); });
  field.addEventListener('blur', () => setTimeout(close, 100));
  field.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    const offered = list.hidden ? 0 : list.children.length;
    if (offered && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault();
      choose((chosen + (event.key === 'ArrowDown' ? 1 : chosen < 0 ? 0 : -1) + offered) % offered);
    } else if (offered && event.key === 'Tab' && !event.shiftKey) {
      event.preventDefault();
      list.children[Math.max(0, chosen)].dispatchEvent(new PointerEvent('pointerdown', {cancelable: true}));
    } else if (offered && event.key === 'Escape') {
      event.stopPropagation();
      dismissed = field.value;
      close();
    } else if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      if (offered && chosen >= 0) list.children[chosen].dispatchEvent(new PointerEvent('pointerdown', {cancelable: true}));
      else submit();
    }
  });

  const global = app.shortcuts.filter((each) => each.type === 'global');
  const menu = () => [
    ...(global.length && shortcut ? [{heading: 'Shortcuts'}] : []),
    ...(shortcut ? global.map((each) => ({label: each.name, note: each.description, act: () => shortcut(each.callback_id)})) : []),
    ...(app.commands.length ? [{heading: 'Commands'}] : []),
    ...offers(app.commands).map((each) => ({label: each.text, note: each.note, act: () => take({text: each.text})})),
  ];
  const form = h('form', {class: 'composer', onsubmit: (event) => { event.preventDefault(); submit(); }},
    list,
    h('div', {class: 'composer-box'},
      field,
      h('div', {class: 'composer-tools'},
        commands && menu().length ? iconButton('bolt', 'Shortcuts and commands', (event) => showMenu(event.currentTarget, 'Shortcuts and commands', menu()), {'aria-haspopup': 'menu', 'aria-expanded': 'false'}) : null,
        iconButton('smile', 'Insert an emoji', (event) => showEmoji(event.currentTarget, 'Insert an emoji', (name) => {
          field.setRangeText(`:${name}: `, field.selectionStart, field.selectionEnd, 'end');
          grow();
          field.focus();
        }), {'aria-haspopup': 'dialog', 'aria-expanded': 'false'}),
        h('span', {class: 'quiet hint', 'aria-hidden': 'true'}, 'Enter sends, Shift+Enter starts a line'),
        button)),
    count, trouble);
  return {form, field};
}
