// Block Kit, drawn as DOM nodes: every block and element that the sandbox takes (docs.slack.dev/reference/block-kit).
//
//   drawBlocks(blocks, context) -> DocumentFragment
//   drawAttachments(attachments, context) -> DocumentFragment
//   drawText(text, context) -> Node                       a message without blocks
//   readValues(root) -> {block_id or action_id: value}    what was typed and chosen, as POST /sandbox/submit takes it
//   checkValues(root) -> {block_id: message}              what must be mended before a submission
//   showErrors(root, {block_id: message}) -> [field]      errors at their fields
//   keepValues(root), restoreValues(root, kept)           for drawing the same view anew
//   context = {
//     surface: 'message' | 'modal' | 'home',
//     names: {users: {id: {name}}, channels: {id: {name, kind}}}, zone: IANA zone of the reader, me: user id,
//     channel: id of the channel that the reader looks at,
//     onAction({block_id, action_id, type, value, state}) -> Promise,   the element is busy until it settles
//     options({block_id, action_id, query}) -> Promise<{options, option_groups}>,   for external selects
//   }
// `value` is a string, a list of strings, a number (datetimepicker: Unix seconds), an option or a list of options (external
// selects), or null. `state` holds the other values of the same message or view, as readValues gives them.
// A type that is not known here is shown in a frame with its name; nothing is dropped.

import {classes, drawEmoji, drawLink, drawMarkdown, drawMention, drawPlain, drawText, formatDate, make, safeUrl} from './mrkdwn.js';

export {drawText};

const controls = new WeakMap();
let numbers = 0;

function fresh(what) {
  numbers += 1;
  return `bk-${what}-${numbers}`;
}

/** A text object (or a bare string) as a node. */
function drawTextObject(text, context) {
  if (text === null || text === undefined) return null;
  if (typeof text === 'string') return drawPlain(text);
  if (text.type === 'mrkdwn') return drawText(text.text, context, Boolean(text.verbatim));
  return drawPlain(text.text, {emoji: text.emoji !== false});
}

function wordsOf(text, context = {}) {
  const drawn = drawTextObject(text, context);
  return drawn ? drawn.textContent.trim() : '';
}

function undrawable(type) {
  const frame = make('div', 'undrawable', 'This block cannot be drawn here: ', make('code', 'code', String(type ?? 'no type')));
  frame.setAttribute('role', 'note');
  return frame;
}

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

/** The words of a rich text, for a field that shows plain text. */
function richWords(value) {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (typeof value.text === 'string') return value.text;
  return (value.elements ?? []).map(richWords).join(value.type === 'rich_text' || value.type === 'rich_text_list' ? '\n' : '');
}

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

// Pictures ------------------------------------------------------------------------------------------------------------

/** A picture of ours is shown; anything else (the page loads nothing from elsewhere) is a frame with its description. */
function drawPicture(given, context, title = null, small = false) {
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

// Rich text -----------------------------------------------------------------------------------------------------------

function styled(node, style) {
  let whole = node;
  if (style?.code) whole = make('code', 'code', whole);
  if (style?.bold) whole = make('strong', '', whole);
  if (style?.italic) whole = make('em', '', whole);
  if (style?.strike) whole = make('s', '', whole);
  if (style?.underline) whole = make('u', '', whole);
  if (style?.highlight || style?.client_highlight) whole = make('mark', '', whole);
  return whole;
}

function drawRichElement(element, context) {
  const {style} = element;
  switch (element.type) {
    case 'text': return styled(document.createTextNode(element.text ?? ''), style);
    case 'link': return styled(drawLink(element.url ?? '', element.text ?? ''), style);
    case 'emoji': {
      const code = /^[0-9a-f-]+$/i.test(element.unicode ?? '') ? element.unicode.split('-').map((each) => Number.parseInt(each, 16)) : [];
      const known = drawEmoji(element.name ?? '');
      return known.nodeType === Node.TEXT_NODE && code.length && code.every((each) => each > 0 && each < 0x110000)
        ? document.createTextNode(String.fromCodePoint(...code)) : known;
    }
    case 'user': return styled(drawMention('users', element.user_id, context), style);
    case 'channel': return styled(drawMention('channels', element.channel_id, context), style);
    case 'usergroup': return styled(drawMention('groups', element.usergroup_id, context), style);
    case 'team': return styled(drawMention('groups', element.team_id, context), style);
    case 'broadcast': return styled(drawMention('all', element.range ?? 'channel', context), style);
    case 'date': {
      const shown = formatDate(element.timestamp, element.format ?? '{date_short} at {time}', context) ?? element.fallback ?? '';
      return styled(element.url ? drawLink(element.url, shown) : make('time', 'date', shown), style);
    }
    case 'color': {
      const swatch = make('span', 'swatch');
      swatch.setAttribute('aria-hidden', 'true');
      if (/^#[0-9a-f]{3,8}$/i.test(element.value ?? '')) swatch.style.backgroundColor = element.value;
      return make('span', '', swatch, String(element.value ?? ''));
    }
    default:
      if (RICH[element.type]) return RICH[element.type](element, context);
      return undrawable(element.type);
  }
}

function drawRichElements(parent, elements, context) {
  for (const element of elements ?? []) parent.append(drawRichElement(element, context));
  return parent;
}

function drawRichList(element, context) {
  const list = make(element.style === 'ordered' ? 'ol' : 'ul', `list indent-${Math.min(8, Number(element.indent) || 0)}`);
  if (element.style === 'ordered' && element.offset) list.start = Number(element.offset) + 1;
  if (element.border) list.classList.add('bk-bordered');
  for (const item of element.elements ?? []) {
    const entry = make('li');
    entry.dir = 'auto';
    list.append(item.type === 'rich_text_section' ? drawRichElements(entry, item.elements, context) : make('li', '', drawRichElement(item, context)));
  }
  return list;
}

const RICH = {
  rich_text_section: (element, context) => {
    const line = drawRichElements(make('div', 'rich-section'), element.elements, context);
    line.dir = 'auto';
    return line;
  },
  rich_text_list: drawRichList,
  rich_text_quote: (element, context) => {
    const quote = drawRichElements(make('blockquote', 'quote'), element.elements, context);
    quote.dir = 'auto';
    return quote;
  },
  rich_text_preformatted: (element, context) => drawRichElements(make('pre', 'preformatted'), element.elements, context),
};

function drawRichText(block, context) {
  const drawn = make('div', 'rich-text');
  for (const element of block.elements ?? []) drawn.append((RICH[element.type] ?? drawRichElement)(element, context));
  return drawn;
}

// Tables --------------------------------------------------------------------------------------------------------------

function drawCell(cell, context) {
  if (cell?.type === 'rich_text') return drawRichText(cell, context);
  if (cell?.type === 'mrkdwn' || cell?.type === 'plain_text') return drawTextObject(cell, context);
  if (cell && (cell.text !== undefined || cell.value !== undefined)) return drawPlain(String(cell.text ?? cell.value));
  if (cell && ELEMENTS[cell.type]) return drawElement(cell, {context, blockId: '', label: ''});
  return cell?.type ? undrawable(cell.type) : document.createTextNode('');
}

function cellKey(cell) {
  const number = typeof cell?.value === 'number' ? cell.value : Number.NaN;
  return {number, words: cell?.type === 'rich_text' ? richWords(cell) : String(cell?.text ?? cell?.value ?? '')};
}

function scrolling(table, label) {
  const scroll = make('div', 'scroll-x', table);
  scroll.tabIndex = 0;
  scroll.setAttribute('role', 'group');
  scroll.setAttribute('aria-label', label);
  return scroll;
}

const ALIGN = new Set(['left', 'center', 'right']);

function drawTable(block, context) {
  const table = make('table', 'table');
  const settings = block.column_settings ?? [];
  (block.rows ?? []).forEach((cells, number) => {
    const row = make('tr');
    cells.forEach((cell, column) => {
      const node = make(number === 0 ? 'th' : 'td', '', drawCell(cell, context));
      if (number === 0) node.scope = 'col';
      if (ALIGN.has(settings[column]?.align)) node.classList.add(`bk-align-${settings[column].align}`);
      if (settings[column]?.is_wrapped) node.classList.add('bk-wraps');
      row.append(node);
    });
    (number === 0 ? (table.tHead ?? table.createTHead()) : (table.tBodies[0] ?? table.createTBody())).append(row);
  });
  return scrolling(table, 'Table');
}

function drawDataTable(block, context) {
  const [head = [], ...body] = block.rows ?? [];
  const size = block.page_size ?? 20;
  const caption = wordsOf(block.caption) || 'Table';
  const table = make('table', 'table data-table');
  const count = make('span', 'aside');
  const back = make('button', 'button small', '‹');
  const on = make('button', 'button small', '›');
  const pager = make('div', 'pager', back, count, on);
  let order = {column: -1, up: true};
  let page = 0;
  count.setAttribute('role', 'status');
  back.type = 'button';
  on.type = 'button';
  back.setAttribute('aria-label', 'Earlier rows');
  on.setAttribute('aria-label', 'Further rows');
  table.append(make('caption', 'caption', caption));
  const headers = head.map((cell, column) => {
    const sign = make('span', 'sort-sign', '↕\uFE0E');
    const sort = make('button', 'sort', drawCell(cell, context), sign);
    const th = make('th', '', sort);
    sign.setAttribute('aria-hidden', 'true');
    sort.type = 'button';
    th.scope = 'col';
    sort.addEventListener('click', () => {
      order = {column, up: order.column === column ? !order.up : true};
      page = 0;
      draw();
    });
    return th;
  });
  table.createTHead().append(make('tr', '', ...headers));
  const rows = table.createTBody();
  const draw = () => {
    const sorted = [...body];
    if (order.column >= 0) {
      sorted.sort((a, b) => {
        const [x, y] = [cellKey(a[order.column]), cellKey(b[order.column])];
        const by = Number.isNaN(x.number - y.number) ? x.words.localeCompare(y.words, undefined, {numeric: true}) : x.number - y.number;
        return order.up ? by : -by;
      });
    }
    headers.forEach((th, column) => {
      const mine = order.column === column;
      th.setAttribute('aria-sort', mine ? (order.up ? 'ascending' : 'descending') : 'none');
      th.querySelector('.bk-sort-sign').textContent = mine ? (order.up ? '↑\uFE0E' : '↓\uFE0E') : '↕\uFE0E';
    });
    const from = page * size;
    rows.replaceChildren(...sorted.slice(from, from + size).map((cells) => make('tr', '', ...cells.map((cell, column) => {
      const isHeader = column === block.row_header_column_index;
      const node = make(isHeader ? 'th' : 'td', '', drawCell(cell, context));
      if (isHeader) node.scope = 'row';
      if (cell?.type === 'raw_number') node.classList.add('bk-align-right');
      return node;
    }))));
    count.textContent = `${from + 1}–${Math.min(from + size, body.length)} of ${body.length}`;
    // A button that is disabled while it has the focus loses it: it stays, and does nothing.
    back.setAttribute('aria-disabled', String(page === 0));
    on.setAttribute('aria-disabled', String(from + size >= body.length));
  };
  back.addEventListener('click', () => {
    if (page > 0) page -= 1;
    draw();
  });
  on.addEventListener('click', () => {
    if ((page + 1) * size < body.length) page += 1;
    draw();
  });
  draw();
  const whole = make('div', 'data-table-block', scrolling(table, caption));
  if (body.length > size) whole.append(pager);
  return whole;
}

// Charts --------------------------------------------------------------------------------------------------------------

const SVG = 'http://www.w3.org/2000/svg';

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, name === 'class' ? classes(value) : String(value));
  node.append(...children);
  return node;
}

function amount(value) {
  return new Intl.NumberFormat('en', {maximumFractionDigits: 2}).format(value);
}

function shortAmount(value) {
  return new Intl.NumberFormat('en', {notation: 'compact', maximumFractionDigits: 1}).format(value);
}

/** Steps for an axis that holds every value and zero. */
function axisSteps(values) {
  const high = Math.max(0, ...values);
  const low = Math.min(0, ...values);
  const raw = (high - low || 1) / 4;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * unit).find((each) => each >= raw);
  const steps = [];
  for (let at = Math.floor(low / step); at <= Math.ceil(high / step) && steps.length < 20; at += 1) steps.push(at * step);
  return steps;
}

const DASHES = ['', '7 4', '2 4', '10 3 2 3', '14 4', '4 2', '1 3', '8 2 2 2', '12 2 4 2', '3 6', '6 6', '2 2'];

/** A marker whose shape, not only its colour, tells one series from the next. */
function marker(shape, x, y) {
  const className = `mark series-${shape % 6}`;
  switch (shape % 4) {
    case 0: return svg('circle', {cx: x, cy: y, r: 4, class: className});
    case 1: return svg('rect', {x: x - 4, y: y - 4, width: 8, height: 8, class: className});
    case 2: return svg('path', {d: `M${x} ${y - 5}L${x + 5} ${y + 4}H${x - 5}Z`, class: className});
    default: return svg('path', {d: `M${x} ${y - 6}L${x + 6} ${y}L${x} ${y + 6}L${x - 6} ${y}Z`, class: className});
  }
}

/** Fill patterns: each series has hatching of its own. Returns the url() of each. */
function patterns(drawing, count) {
  const defs = svg('defs');
  drawing.append(defs);
  return Array.from({length: count}, (_, at) => {
    const id = fresh('hatch');
    const pattern = svg('pattern', {id, width: 8, height: 8, patternUnits: 'userSpaceOnUse', patternTransform: `rotate(${[0, 45, 135, 0, 90, 20][at % 6]})`});
    pattern.append(svg('rect', {width: 8, height: 8, class: `fill series-${at % 6}`}));
    if (at % 6 && at % 6 !== 3) pattern.append(svg('path', {d: 'M0 4H8', class: 'hatch'}));
    if (at % 6 === 3) pattern.append(svg('circle', {cx: 4, cy: 4, r: 1.6, class: 'hatch-dot'}));
    defs.append(pattern);
    return `url(#${id})`;
  });
}

function drawAxes(drawing, box, steps, categories, axis) {
  const low = steps[0];
  const high = steps[steps.length - 1];
  const y = (value) => box.bottom - ((value - low) / (high - low || 1)) * (box.bottom - box.top);
  for (const step of steps) {
    drawing.append(svg('line', {x1: box.left, x2: box.right, y1: y(step), y2: y(step), class: step === 0 ? 'axis' : 'grid'}));
    drawing.append(svg('text', {x: box.left - 6, y: y(step) + 4, class: 'tick', 'text-anchor': 'end'}, shortAmount(step)));
  }
  const width = (box.right - box.left) / categories.length;
  const every = Math.ceil(categories.length / Math.max(1, Math.floor((box.right - box.left) / 64)));
  categories.forEach((words, at) => {
    if (at % every) return;
    drawing.append(svg('text', {x: box.left + width * (at + 0.5), y: box.bottom + 17, class: 'tick', 'text-anchor': 'middle'}, words));
  });
  if (axis?.x_label) drawing.append(svg('text', {x: (box.left + box.right) / 2, y: box.bottom + 36, class: 'axis-label', 'text-anchor': 'middle'}, axis.x_label));
  if (axis?.y_label) drawing.append(svg('text', {x: 4, y: box.top - 12, class: 'axis-label'}, axis.y_label));
  return {y, x: (at) => box.left + width * (at + 0.5), width};
}

function drawSeriesChart(chart) {
  const categories = chart.axis_config?.categories ?? [...new Set((chart.series ?? []).flatMap((line) => (line.data ?? []).map((point) => point.label)))];
  const series = (chart.series ?? []).map((line) => ({
    name: line.name,
    values: categories.map((label) => (line.data ?? []).find((point) => point.label === label)?.value ?? null),
  }));
  const values = series.flatMap((line) => line.values).filter((value) => value !== null);
  const room = chart.type === 'bar' ? 0 : 96;
  const drawing = svg('svg', {viewBox: '0 0 520 270', class: 'chart'});
  const box = {left: 48, right: 512 - room, top: 30, bottom: 222};
  const {x, y, width} = drawAxes(drawing, box, axisSteps(values), categories, chart.axis_config);
  const fills = patterns(drawing, series.length);
  const taken = [];
  series.forEach((line, at) => {
    const points = line.values.map((value, index) => (value === null ? null : [x(index), y(value)])).filter(Boolean);
    if (chart.type === 'bar') {
      const each = Math.min(48, (width * 0.76) / series.length);
      line.values.forEach((value, index) => {
        if (value === null) return;
        const left = x(index) - (each * series.length) / 2 + each * at;
        const top = Math.min(y(value), y(0));
        drawing.append(svg('rect', {x: left, y: top, width: Math.max(2, each - 2), height: Math.abs(y(value) - y(0)), fill: fills[at], class: 'bar'}));
        if (each > 24) drawing.append(svg('text', {x: left + each / 2 - 1, y: top - 5, class: 'value', 'text-anchor': 'middle'}, shortAmount(value)));
      });
      return;
    }
    if (!points.length) return;
    const path = points.map(([px, py], index) => `${index ? 'L' : 'M'}${px} ${py}`).join('');
    if (chart.type === 'area') {
      drawing.append(svg('path', {d: `${path}L${points.at(-1)[0]} ${y(0)}L${points[0][0]} ${y(0)}Z`, fill: fills[at], class: 'area'}));
    }
    drawing.append(svg('path', {d: path, class: `line series-${at % 6}`, 'stroke-dasharray': DASHES[at % DASHES.length]}));
    for (const [px, py] of points) drawing.append(marker(at, px, py));
    // The name and the last value stand at the line's end, each in a row of its own.
    let labelAt = points.at(-1)[1] + 4;
    while (taken.some((each) => Math.abs(each - labelAt) < 26)) labelAt += 13;
    taken.push(labelAt);
    const last = line.values.filter((value) => value !== null).at(-1);
    drawing.append(svg('text', {x: points.at(-1)[0] + 10, y: labelAt, class: 'series-name'}, line.name));
    drawing.append(svg('text', {x: points.at(-1)[0] + 10, y: labelAt + 12, class: 'tick'}, shortAmount(last)));
  });
  const legend = chart.type === 'bar' && series.length > 1 ? make('ul', 'legend', ...series.map((line, at) => {
    const sample = svg('svg', {viewBox: '0 0 16 16', class: 'sample', 'aria-hidden': 'true'});
    sample.append(svg('rect', {width: 16, height: 16, fill: fills[at]}));
    return make('li', '', sample, line.name);
  })) : null;
  const rows = [['', ...series.map((line) => line.name)], ...categories.map((label, index) => [label, ...series.map((line) => (line.values[index] === null ? 'none' : amount(line.values[index])))])];
  const said = series.map((line) => {
    const known = line.values.map((value, index) => [categories[index], value]).filter(([, value]) => value !== null);
    if (!known.length) return `${line.name}: no values`;
    return `${line.name}: ${known.map(([label, value]) => `${label} ${amount(value)}`).join(', ')}`;
  }).join('. ');
  return {drawing, legend, rows, said};
}

function drawPie(chart) {
  const segments = chart.segments ?? [];
  const total = segments.reduce((sum, segment) => sum + (Number(segment.value) || 0), 0) || 1;
  const drawing = svg('svg', {viewBox: '0 0 520 270', class: 'chart'});
  const fills = patterns(drawing, segments.length);
  const [cx, cy, r] = [260, 135, 92];
  let from = -Math.PI / 2;
  const point = (angle, radius) => [cx + radius * Math.cos(angle), cy + radius * Math.sin(angle)];
  segments.forEach((segment, at) => {
    const share = (Number(segment.value) || 0) / total;
    const to = from + share * 2 * Math.PI;
    const middle = (from + to) / 2;
    if (share >= 0.9999) drawing.append(svg('circle', {cx, cy, r, fill: fills[at], class: 'slice'}));
    else {
      const [x1, y1] = point(from, r);
      const [x2, y2] = point(to, r);
      drawing.append(svg('path', {d: `M${cx} ${cy}L${x1} ${y1}A${r} ${r} 0 ${share > 0.5 ? 1 : 0} 1 ${x2} ${y2}Z`, fill: fills[at], class: 'slice'}));
    }
    const [lx, ly] = point(middle, r + 14);
    const [tx, ty] = point(middle, r + 3);
    drawing.append(svg('line', {x1: tx, y1: ty, x2: lx, y2: ly, class: 'grid'}));
    const words = `${segment.label} ${Math.round(share * 100)}%`;
    drawing.append(svg('text', {x: lx + (lx < cx ? -4 : 4), y: ly + 4, class: 'series-name', 'text-anchor': lx < cx ? 'end' : 'start'}, words));
    from = to;
  });
  const rows = [['', 'Value', 'Share'], ...segments.map((segment) => [segment.label, amount(segment.value), `${Math.round((segment.value / total) * 100)}%`])];
  return {drawing, legend: null, rows, said: segments.map((segment) => `${segment.label} ${amount(segment.value)}`).join(', ')};
}

function drawVisualization(block) {
  const chart = block.chart ?? {};
  if (!['bar', 'line', 'area', 'pie'].includes(chart.type)) return undrawable(`data_visualization ${chart.type}`);
  const title = wordsOf(block.title);
  const {drawing, legend, rows, said} = chart.type === 'pie' ? drawPie(chart) : drawSeriesChart(chart);
  const kind = {bar: 'Bar chart', line: 'Line chart', area: 'Area chart', pie: 'Pie chart'}[chart.type];
  drawing.setAttribute('role', 'img');
  drawing.setAttribute('aria-label', `${kind}: ${title}. ${said}.`);
  const table = make('table', 'table');
  rows.forEach((cells, number) => {
    const row = make('tr', '', ...cells.map((words, column) => {
      const cell = make(number === 0 || column === 0 ? 'th' : 'td', '', words);
      if (cell.tagName === 'TH') cell.scope = number === 0 ? 'col' : 'row';
      return cell;
    }));
    (number === 0 ? (table.tHead ?? table.createTHead()) : (table.tBodies[0] ?? table.createTBody())).append(row);
  });
  const asTable = make('details', 'as-table', make('summary', '', 'Show as a table'), scrolling(table, `${title}, as a table`));
  return make('figure', 'visualization', make('figcaption', 'chart-title', drawPlain(title)), drawing, legend, asTable);
}

// Cards, plans, containers ------------------------------------------------------------------------------------------

const TASK_STATES = {
  pending: ['○', 'waiting'], in_progress: ['◐', 'in progress'], complete: ['✓', 'done'], completed: ['✓', 'done'], error: ['✕', 'failed'], failed: ['✕', 'failed'],
};

function drawTask(task, context) {
  const [sign, state] = TASK_STATES[task.status] ?? ['○', String(task.status ?? 'waiting')];
  const icon = make('span', 'task-sign', sign);
  icon.setAttribute('aria-hidden', 'true');
  const drawn = make('div', 'task', make('div', 'task-title', icon, drawPlain(task.title ?? ''), ' ', make('span', 'badge', state)));
  for (const part of [task.details, task.output]) {
    if (part) drawn.append(part.type === 'rich_text' ? drawRichText(part, context) : drawTextObject(part, context));
  }
  if (task.sources?.length) {
    drawn.append(make('div', 'sources', 'Sources: ', ...task.sources.flatMap((source, at) => [at ? ', ' : '', drawLink(source.url ?? '', source.text ?? '')])));
  }
  return drawn;
}

function drawPlan(block, context) {
  const title = make('div', 'plan-title', drawPlain(wordsOf(block.title)));
  const list = make('ol', 'plan-tasks', ...(block.tasks ?? []).map((task) => make('li', '', drawTask(task, context))));
  return make('div', 'plan', title, list);
}

const LEVELS = {info: ['ℹ\uFE0E', 'Note'], warning: ['⚠\uFE0E', 'Warning'], error: ['✕', 'Error'], success: ['✓', 'Done'], default: ['•', 'Note']};

function drawAlert(block, context) {
  const [sign, word] = LEVELS[block.level] ?? LEVELS.default;
  const icon = make('span', 'alert-sign', sign);
  icon.setAttribute('aria-hidden', 'true');
  const drawn = make('div', `alert level-${Object.hasOwn(LEVELS, block.level) ? block.level : 'default'}`, icon, make('strong', 'alert-word', `${word}: `), drawTextObject(block.text, context));
  drawn.setAttribute('role', 'note');
  return drawn;
}

const CARD_ICONS = {bot: '🤖', calendar: '📅', chart: '📊', check: '✓', file: '📄', link: '🔗', person: '👤', star: '★', warning: '⚠'};

function drawCard(block, context) {
  const place = {context, blockId: block.block_id ?? '', label: ''};
  const card = make('article', 'card');
  if (block.hero_image) card.append(drawPicture(block.hero_image, context));
  const words = make('div', 'card-words');
  const icon = block.icon ?? block.slack_icon;
  if (icon?.image_url) words.append(drawPicture(icon, context, null, true));
  else if (icon?.name) {
    const sign = make('span', 'card-icon', CARD_ICONS[icon.name] ?? '◆');
    sign.setAttribute('role', 'img');
    sign.setAttribute('aria-label', String(icon.name));
    words.append(sign);
  }
  if (block.title) words.append(make('div', 'card-title', drawTextObject(block.title, context)));
  if (block.subtitle) words.append(make('div', 'card-subtitle', drawTextObject(block.subtitle, context)));
  if (block.body) words.append(make('div', 'card-body', drawTextObject(block.body, context)));
  if (block.subtext) words.append(make('div', 'card-subtext', drawTextObject(block.subtext, context)));
  card.append(words);
  if (block.actions?.length) card.append(make('div', 'elements', ...block.actions.map((element) => drawElement(element, place))));
  if (block.title) card.setAttribute('aria-label', wordsOf(block.title, context));
  return card;
}

function drawCarousel(block, context) {
  const cards = (block.elements ?? []).map((card) => make('li', 'slide', BLOCKS[card.type] ? drawBlock(card, context) : undrawable(card.type)));
  const strip = make('ul', 'slides', ...cards);
  const move = (by) => strip.scrollBy({left: by * (cards[0]?.offsetWidth ?? 240), behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth'});
  const back = make('button', 'button small', '‹');
  const on = make('button', 'button small', '›');
  for (const [button, label, by] of [[back, 'Earlier cards', -1], [on, 'Further cards', 1]]) {
    button.type = 'button';
    button.setAttribute('aria-label', label);
    button.addEventListener('click', () => move(by));
  }
  strip.tabIndex = 0;
  strip.setAttribute('aria-label', `${cards.length} cards`);
  return make('div', 'carousel', strip, make('div', 'pager', back, on));
}

function drawContainer(block, context) {
  const title = block.title ? make('div', 'container-title', drawTextObject(block.title, context)) : null;
  const subtitle = block.subtitle ? make('div', 'container-subtitle', drawTextObject(block.subtitle, context)) : null;
  const inside = make('div', 'container-inside', drawBlocks(block.child_blocks, {...context, nested: true}));
  if (!block.is_collapsible) {
    const whole = make('section', 'container', title, subtitle, inside);
    if (block.has_header_divider) whole.classList.add('bk-with-divider');
    return whole;
  }
  const whole = make('details', 'container', make('summary', '', title ?? 'More', subtitle), inside);
  whole.open = !block.default_collapsed;
  return whole;
}

function drawVideo(block, context) {
  const sign = make('span', 'picture-sign', '▶\uFE0E');
  sign.setAttribute('aria-hidden', 'true');
  const frame = make('div', 'picture-frame', sign, make('span', 'picture-words', String(block.alt_text ?? '')));
  const title = make('div', 'card-title');
  const href = safeUrl(block.title_url ?? block.video_url ?? '');
  title.append(href ? drawLink(href, wordsOf(block.title)) : drawTextObject(block.title, context) ?? '');
  const by = [block.author_name, block.provider_name].filter(Boolean).join(' · ');
  return make('figure', 'picture video', frame, make('figcaption', 'video-words', title, by ? make('div', 'card-subtitle', by) : null, block.description ? make('div', 'card-body', drawTextObject(block.description, context)) : null));
}

function drawFile(block) {
  const sign = make('span', 'picture-sign', '📄');
  sign.setAttribute('aria-hidden', 'true');
  return make('div', 'picture-frame file', sign, make('span', 'picture-words', 'A file from elsewhere: ', make('code', 'code', String(block.external_id ?? ''))));
}

// Elements and blocks -----------------------------------------------------------------------------------------------

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

function drawElement(element, place) {
  const draw = Object.hasOwn(ELEMENTS, element?.type) ? ELEMENTS[element.type] : null;
  return draw ? draw(element, place) : undrawable(element?.type);
}

function drawSection(block, context) {
  const drawn = make('div', 'section');
  const words = make('div', 'section-words');
  const text = drawTextObject(block.text, context);
  if (text) words.append(text);
  if (block.fields?.length) {
    words.append(make('div', 'fields', ...block.fields.map((field) => make('div', 'field-words', drawTextObject(field, context)))));
  }
  drawn.append(words);
  if (block.accessory) {
    const place = {context, blockId: block.block_id ?? '', label: block.accessory.type === 'image' ? '' : wordsOf(block.text, context).slice(0, 120)};
    drawn.append(make('div', 'accessory', drawElement(block.accessory, place)));
  }
  return drawn;
}

function drawInput(block, context) {
  const element = block.element ?? {};
  const label = make('div', 'label', drawTextObject(block.label, context));
  const error = make('div', 'error');
  label.id = fresh('label');
  error.id = fresh('error');
  error.setAttribute('role', 'alert');
  if (block.optional) label.append(make('span', 'optional', ' (optional)'));
  const hint = block.hint ? make('div', 'hint', drawTextObject(block.hint, context)) : null;
  if (hint) hint.id = fresh('hint');
  const place = {
    context,
    blockId: block.block_id ?? '',
    label: wordsOf(block.label, context),
    labelId: label.id,
    describedBy: [hint?.id, error.id].filter(Boolean).join(' '),
    input: block,
  };
  const field = drawElement(element, place);
  label.addEventListener('click', () => field.querySelector('input,select,textarea')?.focus() ?? field.focus?.());
  const drawn = make('div', 'input-block', label, field, hint, error);
  drawn.dataset.inputBlock = place.blockId;
  return drawn;
}

function drawElements(block, context, className) {
  const place = {context, blockId: block.block_id ?? '', label: ''};
  return make('div', className, ...(block.elements ?? []).map((element) => drawElement(element, place)));
}

function drawContext(block, context) {
  const place = {context, blockId: block.block_id ?? '', label: ''};
  return make('div', 'context', ...(block.elements ?? []).map((element) => (
    element.type === 'mrkdwn' || element.type === 'plain_text' ? drawTextObject(element, context) : drawElement(element, place)
  )));
}

function drawHeader(block, context) {
  const heading = make('div', 'header', drawTextObject(block.text, context));
  heading.setAttribute('role', 'heading');
  heading.setAttribute('aria-level', String(Math.min(6, Math.max(3, (Number(block.level) || 1) + 2))));
  return heading;
}

const BLOCKS = {
  section: drawSection,
  header: drawHeader,
  divider: () => make('hr', 'divider'),
  context: drawContext,
  actions: (block, context) => drawElements(block, context, 'elements'),
  context_actions: (block, context) => drawElements(block, context, 'elements quiet'),
  image: (block, context) => drawPicture(block, context, block.title),
  input: drawInput,
  rich_text: drawRichText,
  markdown: (block, context) => drawMarkdown(block.text, context),
  video: drawVideo,
  file: drawFile,
  table: drawTable,
  data_table: drawDataTable,
  data_visualization: drawVisualization,
  task_card: drawTask,
  plan: drawPlan,
  alert: drawAlert,
  card: drawCard,
  carousel: drawCarousel,
  container: drawContainer,
};

function drawBlock(block, context) {
  const draw = Object.hasOwn(BLOCKS, block?.type) ? BLOCKS[block.type] : null;
  const drawn = draw ? draw(block, context) : undrawable(block?.type);
  const whole = make('div', `block block-${draw ? block.type : 'unknown'}`, drawn);
  if (block?.block_id) whole.dataset.blockId = block.block_id;
  return whole;
}

/** Draw blocks for a surface. What is interactive tells `context.onAction`. */
export function drawBlocks(blocks, context = {}) {
  const drawn = document.createDocumentFragment();
  const root = make('div', `blocks on-${context.surface ?? 'message'}`);
  root.dataset.blocksRoot = '';
  for (const block of blocks ?? []) root.append(drawBlock(block, context));
  // What belongs to a container is part of the surface around it.
  if (context.nested) drawn.append(...root.childNodes);
  else drawn.append(root);
  return drawn;
}

/** Draw a message's attachments: blocks, or the fields of the older kind, beside a bar of their colour. */
export function drawAttachments(attachments, context = {}) {
  const drawn = document.createDocumentFragment();
  for (const given of attachments ?? []) {
    const frame = make('div', 'attachment');
    const colour = {good: '#2eb67d', warning: '#ecb22e', danger: '#e01e5a'}[given.color] ?? `#${String(given.color ?? '').replace(/^#/, '')}`;
    if (/^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(colour)) frame.style.borderInlineStartColor = colour;
    if (given.pretext) drawn.append(drawText(given.pretext, context));
    if (given.blocks?.length) frame.append(drawBlocks(given.blocks, context));
    else {
      if (given.author_name) frame.append(make('div', 'card-subtitle', drawPlain(given.author_name)));
      if (given.title) frame.append(make('div', 'card-title', given.title_link ? drawLink(given.title_link, given.title) : drawPlain(given.title)));
      if (given.text) frame.append(drawText(given.text, context));
      if (given.fields?.length) {
        frame.append(make('div', 'fields', ...given.fields.map((field) => make('div', 'field-words', make('strong', '', String(field.title ?? '')), drawText(field.value, context)))));
      }
      if (given.image_url) frame.append(drawPicture({image_url: given.image_url, alt_text: given.fallback ?? given.title ?? 'A picture'}, context));
      if (given.footer) frame.append(make('div', 'card-subtext', drawPlain(given.footer)));
      if (!frame.childNodes.length) frame.append(drawPlain(given.fallback ?? 'An attachment without content'));
    }
    drawn.append(frame);
  }
  return drawn;
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
