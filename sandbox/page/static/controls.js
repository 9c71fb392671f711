// What a person can press, choose and type: every interactive element, and the values of all of them.

import {drawLink, make, safeUrl} from './mrkdwn.js';
import {drawPicture, drawTextObject, fresh, undrawable, wordsOf} from './pieces.js';
import {richWords} from './richtext.js';

const controls = new WeakMap();

// Controls: what they have in common -----------------------------------------------------------------------------

/**
 * Say that `node` is the control of an element: where it belongs and how its value is read.
 * `set` gives it back a value that it had before a view was drawn anew.
 */
function control(node, element, place, read, {set = null, check = null} = {}) {
  node.dataset.control = element.type;
  node.dataset.block = place.blockId;
  node.dataset.action = element.action_id ?? '';
  controls.set(node, {element, place, read, set, check});
  return node;
}

function rootOf(node) {
  return node.closest('[data-blocks-root]') ?? node.getRootNode();
}

/** Tell the bot, after asking if the element asks to; the element is busy until the answer is there. */
async function act(node, element, place, value) {
  const {context} = place;
  if (node.getAttribute('aria-busy') === 'true') return;
  if (element.confirm && !(await confirmed(element.confirm, context))) {
    controls.get(node)?.undo?.();
    return;
  }
  node.setAttribute('aria-busy', 'true');
  try {
    await context.onAction?.({
      block_id: place.blockId,
      action_id: element.action_id ?? '',
      type: element.type,
      value,
      state: readValues(rootOf(node)),
    });
  } finally {
    node.removeAttribute('aria-busy');
  }
}

/** A dialog that asks before an action. Resolves to true or false; Esc is false. */
export function confirmed(confirm, context = {}) {
  return new Promise((resolve) => {
    const dialog = make('dialog', 'confirm');
    const title = make('h2', 'confirm-title', drawTextObject(confirm.title, context));
    const text = make('div', 'confirm-text', drawTextObject(confirm.text, context));
    title.id = fresh('confirm');
    text.id = fresh('confirm');
    dialog.setAttribute('role', 'alertdialog');
    dialog.setAttribute('aria-labelledby', title.id);
    dialog.setAttribute('aria-describedby', text.id);
    const deny = make('button', 'button', drawTextObject(confirm.deny, context) ?? 'Cancel');
    const go = make('button', `button ${confirm.style === 'danger' ? 'danger' : 'primary'}`, drawTextObject(confirm.confirm, context) ?? 'Yes');
    const before = document.activeElement;
    const end = (answer) => {
      dialog.close();
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(answer);
    };
    deny.type = 'button';
    go.type = 'button';
    deny.addEventListener('click', () => end(false));
    go.addEventListener('click', () => end(true));
    dialog.addEventListener('cancel', (event) => {
      event.preventDefault();
      end(false);
    });
    dialog.append(title, text, make('div', 'confirm-buttons', deny, go));
    document.body.append(dialog);
    dialog.showModal();
    go.focus();
  });
}

/** An action element acts at once; an input waits for the submission unless it says dispatch_action. */
function acts(place) {
  return !place.input || place.input.dispatch_action === true;
}

function nameOf(place, element, fallback) {
  return place.label || wordsOf(element.placeholder) || fallback;
}

/** Give a field its name: the label of its input block where there is one. */
function named(field, element, place, fallback) {
  if (place.input) {
    field.setAttribute('aria-labelledby', place.labelId);
    if (place.describedBy) field.setAttribute('aria-describedby', place.describedBy);
    if (!place.input.optional) field.setAttribute('aria-required', 'true');
  } else field.setAttribute('aria-label', nameOf(place, element, fallback));
  return field;
}

function focusOnLoad(field, element) {
  if (element.focus_on_load) field.dataset.focusOnLoad = 'true';
}

// Buttons -------------------------------------------------------------------------------------------------------------

const STYLE_WORDS = {primary: '', danger: 'Careful: '};

function drawButton(element, place) {
  const label = drawTextObject(element.text, place.context);
  const style = element.style === 'primary' || element.style === 'danger' ? element.style : '';
  const href = element.url ? safeUrl(element.url) : null;
  const node = href ? make('a', `button ${style}`) : make('button', `button ${style}`);
  if (style === 'danger') {
    const sign = make('span', 'button-sign', '!');
    sign.setAttribute('aria-hidden', 'true');
    node.append(sign);
  }
  node.append(label ?? '');
  if (href) {
    node.href = href;
    node.target = '_blank';
    node.rel = 'noopener noreferrer';
    const sign = make('span', 'button-sign', '↗\uFE0E');
    sign.setAttribute('aria-hidden', 'true');
    node.append(sign);
  } else node.type = 'button';
  if (element.accessibility_label) node.setAttribute('aria-label', element.accessibility_label);
  else if (style === 'danger') node.setAttribute('aria-label', STYLE_WORDS.danger + wordsOf(element.text));
  node.addEventListener('click', async (event) => {
    if (href && element.confirm) {
      event.preventDefault();
      if (!(await confirmed(element.confirm, place.context))) return;
      window.open(href, '_blank', 'noopener,noreferrer');
      await act(node, {...element, confirm: undefined}, place, element.value ?? null);
    } else await act(node, element, place, element.value ?? null);
  });
  return control(node, element, place, () => undefined);
}

function drawWorkflowButton(element, place) {
  const node = make('button', `button ${element.style === 'danger' ? 'danger' : element.style === 'primary' ? 'primary' : ''}`, drawTextObject(element.text, place.context));
  const told = make('span', 'aside');
  told.setAttribute('role', 'status');
  node.type = 'button';
  if (element.accessibility_label) node.setAttribute('aria-label', element.accessibility_label);
  node.addEventListener('click', () => {
    told.textContent = 'This button starts a workflow of Slack’s, and there are none in this workspace.';
  });
  return make('span', 'with-aside', node, told);
}

function drawFeedbackButtons(element, place) {
  const group = make('div', 'feedback-buttons');
  group.setAttribute('role', 'group');
  group.setAttribute('aria-label', 'Feedback');
  for (const [side, sign] of [['positive_button', '👍'], ['negative_button', '👎']]) {
    const given = element[side] ?? {};
    const button = make('button', 'button small', make('span', 'emoji', sign), ' ', drawTextObject(given.text, place.context));
    button.type = 'button';
    button.firstChild.setAttribute('aria-hidden', 'true');
    button.setAttribute('aria-pressed', 'false');
    if (given.accessibility_label) button.setAttribute('aria-label', given.accessibility_label);
    button.addEventListener('click', async () => {
      for (const other of group.querySelectorAll('button')) other.setAttribute('aria-pressed', String(other === button));
      await act(button, element, place, given.value ?? null);
    });
    group.append(button);
  }
  return control(group, element, place, () => undefined);
}

const ICONS = {trash: '🗑', edit: '✎', copy: '⧉', star: '☆', thumbs_up: '👍', thumbs_down: '👎', refresh: '↻', share: '↗\uFE0E', bookmark: '🔖', flag: '⚑'};

function drawIconButton(element, place) {
  const {context} = place;
  const visible = element.visible_to_user_ids;
  if (Array.isArray(visible) && visible.length && context.me && !visible.includes(context.me)) return null;
  const sign = make('span', 'icon', ICONS[element.icon] ?? '•');
  sign.setAttribute('aria-hidden', 'true');
  const node = make('button', 'button small icon-button', sign, ' ', drawTextObject(element.text, context));
  node.type = 'button';
  if (element.accessibility_label) node.setAttribute('aria-label', element.accessibility_label);
  node.addEventListener('click', () => act(node, element, place, element.value ?? null));
  return control(node, element, place, () => undefined);
}

// Lists that open: menus and choosers -----------------------------------------------------------------------------

/** Open `list` under `anchor`, above everything; a press elsewhere and Esc close it. */
function popUp(list, anchor) {
  const place = () => {
    const at = anchor.getBoundingClientRect();
    const room = {width: document.documentElement.clientWidth, height: window.innerHeight};
    list.style.minWidth = `${Math.min(at.width, room.width - 16)}px`;
    list.style.maxWidth = `${Math.min(420, room.width - 16)}px`;
    const size = list.getBoundingClientRect();
    const below = room.height - at.bottom - 8;
    const above = at.top - 8;
    const up = below < Math.min(size.height, 180) && above > below;
    list.style.maxHeight = `${Math.max(96, Math.min(320, up ? above : below))}px`;
    const height = Math.min(list.getBoundingClientRect().height, up ? above : below);
    list.style.left = `${Math.max(8, Math.min(at.left, room.width - size.width - 8))}px`;
    list.style.top = up ? `${Math.max(8, at.top - height - 4)}px` : `${at.bottom + 4}px`;
  };
  list.showPopover();
  place();
  // What scrolls under the list takes it along, until its anchor is out of sight.
  const away = (event) => {
    if (list.contains(event.target)) return;
    const at = anchor.getBoundingClientRect();
    if (!anchor.isConnected || at.bottom < 0 || at.top > window.innerHeight) list.hidePopover();
    else place();
  };
  document.addEventListener('scroll', away, true);
  window.addEventListener('resize', place);
  list.addEventListener('toggle', function closed(event) {
    if (event.newState !== 'closed') return;
    document.removeEventListener('scroll', away, true);
    window.removeEventListener('resize', place);
    list.removeEventListener('toggle', closed);
  });
  return place;
}

function isOpen(list) {
  return list.isConnected && list.matches(':popover-open');
}

function drawOverflow(element, place) {
  const {context} = place;
  const holder = make('span', 'overflow');
  const node = make('button', 'button overflow-button', '⋯');
  const menu = make('div', 'popup menu');
  node.type = 'button';
  node.setAttribute('aria-label', 'More choices');
  node.setAttribute('aria-haspopup', 'menu');
  node.setAttribute('aria-expanded', 'false');
  menu.setAttribute('role', 'menu');
  menu.setAttribute('aria-label', 'More choices');
  menu.popover = 'auto';
  for (const option of element.options ?? []) {
    const href = option.url ? safeUrl(option.url) : null;
    const item = make(href ? 'a' : 'button', 'popup-item', drawTextObject(option.text, context));
    if (option.description) item.append(make('span', 'option-description', drawTextObject(option.description, context)));
    if (href) {
      item.href = href;
      item.target = '_blank';
      item.rel = 'noopener noreferrer';
    } else item.type = 'button';
    item.setAttribute('role', 'menuitem');
    item.tabIndex = -1;
    item.addEventListener('click', () => {
      menu.hidePopover();
      node.focus();
      act(node, element, place, option.value ?? null);
    });
    menu.append(item);
  }
  const items = () => [...menu.children];
  const open = (which) => {
    popUp(menu, node);
    items().at(which)?.focus();
  };
  menu.addEventListener('toggle', (event) => node.setAttribute('aria-expanded', String(event.newState === 'open')));
  // A press on the button while the menu is open closes it before the click comes: this remembers that it was open.
  let wasOpen = false;
  node.addEventListener('pointerdown', () => {
    wasOpen = isOpen(menu);
  });
  node.addEventListener('click', () => {
    if (!wasOpen) open(0);
    wasOpen = false;
  });
  node.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      open(event.key === 'ArrowDown' ? 0 : -1);
    }
  });
  menu.addEventListener('keydown', (event) => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const to = {ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1}[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all[to].focus();
    } else if (event.key === 'Escape' || event.key === 'Tab') {
      event.stopPropagation();
      event.preventDefault();
      menu.hidePopover();
      node.focus();
    } else if (event.key === ' ' && document.activeElement.matches('a')) {
      event.preventDefault();
      document.activeElement.click();
    } else if (event.key.length === 1 && event.key !== ' ') {
      const found = [...all.slice(at + 1), ...all].find((item) => item.textContent.toLowerCase().startsWith(event.key.toLowerCase()));
      found?.focus();
    }
  });
  holder.append(node, menu);
  return control(holder, element, place, () => undefined);
}

/** The options of a select as flat choices: {value, text, description, group, option}. */
function flatOptions(element) {
  const plain = (option, group) => ({
    value: option.value,
    text: wordsOf(option.text),
    description: wordsOf(option.description),
    group,
    option,
  });
  if (element.option_groups) {
    return element.option_groups.flatMap((group) => (group.options ?? []).map((option) => plain(option, wordsOf(group.label))));
  }
  return (element.options ?? []).map((option) => plain(option, ''));
}

function drawStaticSelect(element, place) {
  const select = make('select', 'field select');
  const empty = make('option', '', wordsOf(element.placeholder) || 'Choose one');
  empty.value = '';
  if (!place.input?.optional) empty.disabled = true;
  select.append(empty);
  let group = null;
  for (const choice of flatOptions(element)) {
    const option = make('option', '', choice.description ? `${choice.text} – ${choice.description}` : choice.text);
    option.value = choice.value;
    if (choice.group) {
      if (group?.label !== choice.group) {
        group = make('optgroup');
        group.label = choice.group;
        select.append(group);
      }
      group.append(option);
    } else select.append(option);
  }
  let last = element.initial_option?.value ?? '';
  select.value = last;
  named(select, element, place, 'Choose one');
  focusOnLoad(select, element);
  select.addEventListener('change', async () => {
    if (acts(place)) await act(select, element, place, select.value || null);
    last = select.value;
  });
  control(select, element, place, () => select.value || null, {
    set: (value) => {
      select.value = value ?? '';
      last = select.value;
    },
  });
  controls.get(select).undo = () => {
    select.value = last;
  };
  return select;
}

/** Who and what there is to choose from in selects of people and channels. */
function peopleAndPlaces(kind, element, context) {
  const entries = (found) => (found instanceof Map ? [...found] : Object.entries(found ?? {}));
  const nameOfEntry = (entry, id) => (typeof entry === 'string' ? entry : entry?.name || id);
  const people = entries(context.names?.users)
    .filter(([, entry]) => !entry?.deleted)
    .map(([id, entry]) => ({value: id, text: nameOfEntry(entry, id), description: entry?.title ?? '', group: ''}));
  const channels = entries(context.names?.channels)
    .filter(([, entry]) => !['im', 'mpim'].includes(entry?.kind))
    .map(([id, entry]) => ({value: id, text: `#${nameOfEntry(entry, id)}`, description: '', group: '', kind: entry?.is_private || entry?.kind === 'group' ? 'private' : 'public'}));
  const directs = entries(context.names?.channels)
    .filter(([, entry]) => ['im', 'mpim'].includes(entry?.kind))
    .map(([id, entry]) => ({value: id, text: nameOfEntry(entry, id), description: 'direct message', group: '', kind: entry.kind}));
  if (kind === 'users') return people;
  if (kind === 'channels') return channels;
  const wanted = element.filter?.include;
  return [...channels, ...directs].filter((choice) => !wanted || wanted.includes(choice.kind));
}

const CHOOSERS = {
  multi_static_select: {many: true, kind: 'static'},
  external_select: {many: false, kind: 'external'},
  multi_external_select: {many: true, kind: 'external'},
  users_select: {many: false, kind: 'users'},
  multi_users_select: {many: true, kind: 'users'},
  channels_select: {many: false, kind: 'channels'},
  multi_channels_select: {many: true, kind: 'channels'},
  conversations_select: {many: false, kind: 'conversations'},
  multi_conversations_select: {many: true, kind: 'conversations'},
};

function initialChoices(element, kind, context, all) {
  const given = [
    element.initial_option, element.initial_user, element.initial_channel, element.initial_conversation,
    ...(element.initial_options ?? []), ...(element.initial_users ?? []),
    ...(element.initial_channels ?? []), ...(element.initial_conversations ?? []),
  ].filter((each) => each !== null && each !== undefined);
  if (!given.length && kind === 'conversations' && element.default_to_current_conversation && context.channel) given.push(context.channel);
  return given.map((each) => {
    if (typeof each === 'object') return {value: each.value, text: wordsOf(each.text), description: '', group: '', option: each};
    return all.find((choice) => choice.value === each) ?? {value: each, text: each, description: '', group: ''};
  });
}

/** A field to type in, a list under it, and what was chosen: one thing or several (ARIA combobox with a listbox). */
function drawChooser(element, place) {
  const {context} = place;
  const {many, kind} = CHOOSERS[element.type];
  const holder = make('div', 'chooser');
  const field = make('input', 'field');
  const list = make('div', 'popup listbox');
  const chips = make('div', 'chips');
  const told = make('span', 'visually-hidden');
  let all = kind === 'static' ? flatOptions(element) : kind === 'external' ? [] : peopleAndPlaces(kind, element, context);
  let chosen = initialChoices(element, kind, context, all);
  let shown = [];
  let active = -1;
  let asked = 0;
  let place_ = () => {};
  const most = element.max_selected_items ?? Infinity;
  const least = element.min_query_length ?? (kind === 'external' ? 3 : 0);

  list.id = fresh('list');
  list.popover = 'auto';
  list.setAttribute('role', 'listbox');
  if (many) list.setAttribute('aria-multiselectable', 'true');
  field.type = 'text';
  field.autocomplete = 'off';
  field.spellcheck = false;
  field.placeholder = wordsOf(element.placeholder) || (many ? 'Choose some' : 'Choose one');
  field.setAttribute('role', 'combobox');
  field.setAttribute('aria-autocomplete', 'list');
  field.setAttribute('aria-expanded', 'false');
  field.setAttribute('aria-controls', list.id);
  told.setAttribute('role', 'status');
  named(field, element, place, 'Choose');
  list.setAttribute('aria-label', field.placeholder);
  focusOnLoad(field, element);

  const value = () => {
    const values = chosen.map((choice) => (kind === 'external' ? choice.option : choice.value));
    return many ? values : values[0] ?? null;
  };
  const drawChosen = () => {
    chips.replaceChildren();
    if (!many) {
      field.value = chosen[0]?.text ?? '';
      return;
    }
    for (const choice of chosen) {
      const remove = make('button', 'chip-remove', '×');
      const chip = make('span', 'chip', make('span', 'chip-text', choice.text), remove);
      remove.type = 'button';
      remove.setAttribute('aria-label', `Remove ${choice.text}`);
      remove.addEventListener('click', () => {
        toggle(choice);
        field.focus();
      });
      chips.append(chip);
    }
  };
  const changed = (before) => {
    controls.get(holder).undo = () => {
      chosen = before;
      drawChosen();
    };
    if (acts(place)) act(holder, element, place, value());
  };
  const toggle = (choice) => {
    const before = chosen;
    const there = chosen.some((each) => each.value === choice.value);
    if (!many) chosen = [choice];
    else if (there) chosen = chosen.filter((each) => each.value !== choice.value);
    else if (chosen.length < most) chosen = [...chosen, choice];
    else {
      told.textContent = `At most ${most} can be chosen`;
      return;
    }
    told.textContent = many && there ? `${choice.text} removed` : `${choice.text} chosen`;
    drawChosen();
    if (many) field.value = '';
    changed(before);
  };
  const close = () => {
    if (isOpen(list)) list.hidePopover();
  };
  const mark = (at) => {
    active = at;
    [...list.querySelectorAll('[role=option]')].forEach((node, index) => {
      node.classList.toggle('bk-is-active', index === at);
      if (index === at) {
        field.setAttribute('aria-activedescendant', node.id);
        node.scrollIntoView({block: 'nearest'});
      }
    });
    if (at < 0) field.removeAttribute('aria-activedescendant');
  };
  const drawList = (query, note = '') => {
    const wanted = query.trim().toLowerCase();
    shown = all.filter((choice) => !wanted || kind === 'external' || `${choice.text} ${choice.description}`.toLowerCase().includes(wanted)).slice(0, 100);
    list.replaceChildren();
    let group = '';
    shown.forEach((choice, index) => {
      if (choice.group && choice.group !== group) {
        const title = make('div', 'popup-group', choice.group);
        title.setAttribute('role', 'presentation');
        list.append(title);
        group = choice.group;
      }
      const picked = chosen.some((each) => each.value === choice.value);
      const sign = make('span', 'tick', picked ? '✓' : '');
      sign.setAttribute('aria-hidden', 'true');
      const item = make('div', 'popup-item', sign, make('span', 'option-text', choice.text));
      if (choice.description) item.append(make('span', 'option-description', choice.description));
      item.id = `${list.id}-${index}`;
      item.setAttribute('role', 'option');
      item.setAttribute('aria-selected', String(picked));
      item.addEventListener('pointerdown', (event) => event.preventDefault());
      item.addEventListener('click', () => pick(index));
      list.append(item);
    });
    if (!shown.length) list.append(make('div', 'popup-note', note || 'Nothing is called that'));
    mark(shown.length && wanted ? 0 : -1);
  };
  const ask = async (query) => {
    asked += 1;
    const mine = asked;
    all = [];
    if (query.trim().length < least) {
      drawList('', least === 1 ? 'Type a letter to search' : `Type ${least} letters or more to search`);
      return;
    }
    drawList('', 'Searching…');
    let note = 'Nothing found';
    try {
      const found = (await context.options?.({block_id: place.blockId, action_id: element.action_id ?? '', query})) ?? null;
      if (mine !== asked) return;
      if (found) all = flatOptions(found);
      else note = 'The app offers no choices here';
    } catch {
      if (mine !== asked) return;
      note = 'The app did not answer with choices';
    }
    drawList('', note);
    place_();
  };
  const open = (query = '') => {
    if (kind === 'external') ask(query);
    else drawList(query);
    if (!isOpen(list)) place_ = popUp(list, field);
    else place_();
  };
  const pick = (index) => {
    toggle(shown[index]);
    if (many) open('');
    else close();
  };
  list.addEventListener('toggle', (event) => {
    field.setAttribute('aria-expanded', String(event.newState === 'open'));
    if (event.newState === 'closed') {
      mark(-1);
      field.value = many ? '' : chosen[0]?.text ?? '';
    }
  });
  field.addEventListener('click', () => {
    if (!isOpen(list)) {
      field.select();
      open();
    }
  });
  field.addEventListener('input', () => open(field.value));
  field.addEventListener('blur', close);
  field.addEventListener('keydown', (event) => {
    const shownNow = isOpen(list);
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (!shownNow) open();
      if (shown.length) mark(event.key === 'ArrowDown' ? (active + 1) % shown.length : (active - 1 + shown.length) % shown.length);
    } else if (event.key === 'Enter' && shownNow) {
      event.preventDefault();
      if (active >= 0) pick(active);
    } else if (event.key === 'Escape' && shownNow) {
      event.stopPropagation();
      event.preventDefault();
      close();
    } else if (event.key === 'Backspace' && many && !field.value && chosen.length) toggle(chosen[chosen.length - 1]);
    else if ((event.key === 'Backspace' || event.key === 'Delete') && !many && place.input?.optional && field.selectionStart === 0 && field.selectionEnd === field.value.length) {
      const before = chosen;
      chosen = [];
      if (before.length) changed(before);
    }
  });
  drawChosen();
  if (many) holder.append(chips);
  holder.append(field, list, told);
  return control(holder, element, place, value, {
    set: (kept) => {
      const values = Array.isArray(kept) ? kept : kept === null || kept === undefined ? [] : [kept];
      chosen = values.map((each) => {
        if (typeof each === 'object') return {value: each.value, text: wordsOf(each.text), description: '', group: '', option: each};
        return all.find((choice) => choice.value === each) ?? {value: each, text: each, description: '', group: ''};
      });
      drawChosen();
    },
  });
}

// Fields --------------------------------------------------------------------------------------------------------------

/** Call `say` when a native picker's value stands: at once on leaving and Enter, else after a moment's rest. */
function whenSettled(field, say) {
  let timer = 0;
  let told = field.value;
  const settle = () => {
    clearTimeout(timer);
    if (field.value === told || field.validity.badInput) return;
    told = field.value;
    say();
  };
  field.addEventListener('change', () => {
    clearTimeout(timer);
    timer = setTimeout(settle, 700);
  });
  field.addEventListener('blur', settle);
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') settle();
  });
}

function drawNativePicker(element, place, {type, fallback, initial, read, write}) {
  const field = make('input', `field ${type}`);
  field.type = type;
  field.value = initial;
  named(field, element, place, fallback);
  const hint = wordsOf(element.placeholder);
  if (hint) field.title = hint;
  focusOnLoad(field, element);
  let last = field.value;
  whenSettled(field, async () => {
    if (acts(place)) await act(field, element, place, read(field.value));
    last = field.value;
  });
  control(field, element, place, () => read(field.value), {
    set: (value) => {
      field.value = write(value);
    },
  });
  controls.get(field).undo = () => {
    field.value = last;
  };
  return field;
}

/** How far a zone is ahead of UTC at an instant, in ms. */
function zoneOffset(instant, zone) {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
  }).formatToParts(instant);
  const of = Object.fromEntries(parts.map((part) => [part.type, Number(part.value)]));
  return Date.UTC(of.year, of.month - 1, of.day, of.hour, of.minute, of.second) - Math.floor(instant / 1000) * 1000;
}

/** Unix seconds of a wall time (`2026-03-29T09:30`) in a zone; null for no time. A time that the clocks skip is moved on. */
export function wallToSeconds(wall, zone) {
  if (!wall) return null;
  const asUtc = Date.parse(`${wall}Z`);
  if (Number.isNaN(asUtc)) return null;
  const guess = asUtc - zoneOffset(asUtc, zone);
  return Math.round((asUtc - zoneOffset(guess, zone)) / 1000);
}

/** The wall time of Unix seconds in a zone, as a datetime-local field takes it. */
export function secondsToWall(seconds, zone) {
  if (seconds === null || seconds === undefined) return '';
  const instant = Number(seconds) * 1000;
  return new Date(instant + zoneOffset(instant, zone)).toISOString().slice(0, 16);
}

function drawDatepicker(element, place) {
  const plain = {read: (value) => value || null, write: (value) => value ?? ''};
  return drawNativePicker(element, place, {type: 'date', fallback: 'Date', initial: element.initial_date ?? '', ...plain});
}

function drawTimepicker(element, place) {
  const plain = {read: (value) => value || null, write: (value) => value ?? ''};
  const field = drawNativePicker(element, place, {type: 'time', fallback: 'Time', initial: element.initial_time ?? '', ...plain});
  if (!element.timezone) return field;
  const holder = make('span', 'with-aside', field, make('span', 'aside', element.timezone));
  return holder;
}

function drawDatetimepicker(element, place) {
  const zone = place.context.zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
  return drawNativePicker(element, place, {
    type: 'datetime-local',
    fallback: 'Date and time',
    initial: secondsToWall(element.initial_date_time, zone),
    read: (value) => wallToSeconds(value, zone),
    write: (value) => secondsToWall(value, zone),
  });
}

/** What is wrong with a typed value, in a sentence; an empty string when nothing is. */
function wrong(element, value) {
  const length = [...value].length;
  if (element.type === 'plain_text_input' || element.type === 'rich_text_input') {
    if (element.min_length && length < element.min_length) return `Use at least ${element.min_length} characters.`;
    if (element.max_length && length > element.max_length) return `Use at most ${element.max_length} characters; these are ${length}.`;
  }
  if (element.type === 'email_text_input' && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(value)) return 'This is no e-mail address.';
  if (element.type === 'url_text_input' && !safeUrl(value)) return 'This is no web address: it starts with https://.';
  if (element.type === 'number_input') {
    if (!/^[+-]?(\d+(\.\d+)?|\.\d+)$/.test(value)) return 'This is no number.';
    if (!element.is_decimal_allowed && !/^[+-]?\d+$/.test(value)) return 'Use a whole number.';
    if (element.min_value !== undefined && Number(value) < Number(element.min_value)) return `Use ${element.min_value} or more.`;
    if (element.max_value !== undefined && Number(value) > Number(element.max_value)) return `Use ${element.max_value} or less.`;
  }
  return '';
}

const TEXT_FIELDS = {
  plain_text_input: {type: 'text', fallback: 'Text'},
  email_text_input: {type: 'email', fallback: 'E-mail address'},
  url_text_input: {type: 'url', fallback: 'Web address'},
  number_input: {type: 'text', fallback: 'Number'},
  rich_text_input: {type: 'text', fallback: 'Text'},
};

function drawTextField(element, place) {
  const {type, fallback} = TEXT_FIELDS[element.type];
  const long = element.multiline || element.type === 'rich_text_input';
  const field = make(long ? 'textarea' : 'input', 'field');
  if (!long) field.type = type;
  else field.rows = 4;
  if (element.type === 'number_input') field.inputMode = element.is_decimal_allowed ? 'decimal' : 'numeric';
  field.placeholder = wordsOf(element.placeholder);
  field.value = richWords(element.initial_value);
  field.dir = 'auto';
  field.autocomplete = 'off';
  named(field, element, place, fallback);
  focusOnLoad(field, element);
  const read = () => (field.value.trim() ? field.value : null);
  const triggers = element.dispatch_action_config?.trigger_actions_on ?? ['on_enter_pressed'];
  if (acts(place)) {
    let timer = 0;
    if (triggers.includes('on_character_entered')) {
      field.addEventListener('input', () => {
        clearTimeout(timer);
        timer = setTimeout(() => act(field, element, place, read()), 300);
      });
    }
    if (triggers.includes('on_enter_pressed')) {
      field.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        act(field, element, place, read());
      });
    }
  }
  control(field, element, place, read, {
    set: (value) => {
      field.value = richWords(value);
    },
    check: () => (read() === null ? '' : wrong(element, field.value.trim())),
  });
  if (!element.max_length || element.max_length > 3000) return field;
  const left = make('span', 'left');
  const count = () => {
    const room = element.max_length - [...field.value].length;
    left.textContent = room < 0 ? `${-room} too many` : `${room} left`;
    left.classList.toggle('bk-over', room < 0);
  };
  field.addEventListener('input', count);
  count();
  left.setAttribute('aria-hidden', 'true');
  return make('div', 'with-count', field, left);
}

function drawFileInput(element, place) {
  const field = make('input', 'field file');
  field.type = 'file';
  field.multiple = (element.max_files ?? 10) > 1;
  if (element.filetypes?.length) field.accept = element.filetypes.map((each) => `.${each}`).join(',');
  named(field, element, place, 'Files');
  const read = () => ([...field.files].length ? [...field.files].map((file) => file.name) : null);
  return control(field, element, place, read, {
    check: () => (field.files.length > (element.max_files ?? 10) ? `Choose at most ${element.max_files ?? 10} files.` : ''),
  });
}

function drawChoices(element, place) {
  const {context} = place;
  const many = element.type === 'checkboxes';
  const group = make('div', 'choices');
  const name = fresh('choice');
  group.setAttribute('role', many ? 'group' : 'radiogroup');
  named(group, element, place, many ? 'Choose any' : 'Choose one');
  if (many) group.removeAttribute('aria-required');
  const initial = many ? (element.initial_options ?? []).map((option) => option.value) : [element.initial_option?.value];
  for (const option of element.options ?? []) {
    const field = make('input');
    const words = make('span', 'choice-words', drawTextObject(option.text, context));
    field.type = many ? 'checkbox' : 'radio';
    field.name = name;
    field.value = option.value;
    field.checked = initial.includes(option.value);
    if (option.description) {
      const more = make('span', 'option-description', drawTextObject(option.description, context));
      more.id = fresh('description');
      field.setAttribute('aria-describedby', more.id);
      words.append(more);
    }
    if (element.focus_on_load && !group.querySelector('input')) focusOnLoad(field, element);
    group.append(make('label', 'choice', field, words));
  }
  const fields = () => [...group.querySelectorAll('input')];
  const read = () => {
    const on = fields().filter((field) => field.checked).map((field) => field.value);
    return many ? on : on[0] ?? null;
  };
  const set = (value) => {
    for (const field of fields()) field.checked = many ? (value ?? []).includes(field.value) : field.value === value;
  };
  let last = read();
  group.addEventListener('change', async () => {
    if (acts(place)) await act(group, element, place, read());
    last = read();
  });
  control(group, element, place, read, {set});
  controls.get(group).undo = () => set(last);
  return group;
}

// Which element is drawn how ------------------------------------------------------------------------------------------

const ELEMENTS = {
  button: drawButton,
  workflow_button: drawWorkflowButton,
  overflow: drawOverflow,
  static_select: drawStaticSelect,
  ...Object.fromEntries(Object.keys(CHOOSERS).map((type) => [type, drawChooser])),
  datepicker: drawDatepicker,
  timepicker: drawTimepicker,
  datetimepicker: drawDatetimepicker,
  ...Object.fromEntries(Object.keys(TEXT_FIELDS).map((type) => [type, drawTextField])),
  file_input: drawFileInput,
  checkboxes: drawChoices,
  radio_buttons: drawChoices,
  feedback_buttons: drawFeedbackButtons,
  icon_button: drawIconButton,
  image: (element, place) => drawPicture(element, place.context, null, true),
  url: (element) => drawLink(element.url ?? '', element.text ?? ''),
};

export function drawElement(element, place) {
  const draw = Object.hasOwn(ELEMENTS, element?.type) ? ELEMENTS[element.type] : null;
  return draw ? draw(element, place) : undrawable(element?.type);
}

/** Whether elements of this type are drawn here. */
export function isElement(type) {
  return Object.hasOwn(ELEMENTS, type ?? '');
}

// Values --------------------------------------------------------------------------------------------------------------

function allControls(root) {
  return [...root.querySelectorAll('[data-control]')].filter((node) => controls.has(node));
}

/**
 * What was typed and chosen under `root`: inputs by their block_id (an action_id may come twice in a view, a block_id may
 * not), elements outside of inputs by their action_id. Buttons have no value.
 */
export function readValues(root) {
  const values = {};
  for (const node of allControls(root)) {
    const {element, place, read} = controls.get(node);
    const value = read();
    if (value === undefined) continue;
    const key = place.input ? place.blockId || element.action_id : element.action_id;
    if (key) values[key] = value;
  }
  return values;
}

/** Every value under `root`, by block and action, to be put back when the same is drawn anew. */
export function keepValues(root) {
  const kept = new Map();
  for (const node of allControls(root)) {
    const value = controls.get(node).read();
    if (value !== undefined) kept.set(`${node.dataset.block} ${node.dataset.action}`, value);
  }
  return kept;
}

/** Put kept values back into the elements that are still there. */
export function restoreValues(root, kept) {
  for (const node of allControls(root)) {
    const key = `${node.dataset.block} ${node.dataset.action}`;
    if (kept.has(key)) controls.get(node).set?.(kept.get(key));
  }
}

/** Show an error at each named input block, and take away those that stood there. Returns the fields, in order. */
export function showErrors(root, errors) {
  const fields = [];
  for (const block of root.querySelectorAll('[data-input-block]')) {
    const message = Object.hasOwn(errors, block.dataset.inputBlock) ? String(errors[block.dataset.inputBlock]) : '';
    const shown = block.querySelector(':scope > .bk-error');
    const field = block.querySelector('input,select,textarea,[role=group],[role=radiogroup]');
    shown.textContent = message;
    block.classList.toggle('bk-has-error', Boolean(message));
    if (message) {
      field?.setAttribute('aria-invalid', 'true');
      if (field) fields.push(field);
    } else field?.removeAttribute('aria-invalid');
  }
  return fields;
}

/** What must be mended before a submission, by block_id: required fields that are empty, values that are none. */
export function checkValues(root) {
  const errors = {};
  for (const node of allControls(root)) {
    const {place, read, check} = controls.get(node);
    if (!place.input) continue;
    const value = read();
    const empty = value === null || value === '' || (Array.isArray(value) && !value.length);
    const message = empty && !place.input.optional ? 'Please fill this in.' : check?.() ?? '';
    if (message) errors[place.blockId] = message;
  }
  return errors;
}
