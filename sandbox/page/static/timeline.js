// Messages: one list of them, in a conversation or in a thread, kept up to date message by message.

import {drawAttachments, drawBlocks, drawText, keepValues, restoreValues} from './blocks.js';
import {avatar, h, icon, iconButton, walkable} from './dom.js';
import {emojiOf} from './emoji.js';
import {showEmoji, showMenu} from './menu.js';
import {atTs, clockTime, dayKey, dayName, fullTime} from './times.js';

const TOGETHER_SECONDS = 300;
const HEARD_LETTERS = 400;
const LINES = 'p, li, h1, h2, h3, h4, h5, h6, pre, blockquote, tr, div';

/** A file of a message: a picture is shown, anything else can be saved. It lies where the page does. */
function fileOf(file) {
  const place = new URL(file.url_private).pathname;
  const size = file.size < 1024 ? `${file.size} B` : file.size < 1_048_576 ? `${Math.round(file.size / 1024)} KB` : `${(file.size / 1_048_576).toFixed(1)} MB`;
  const name = h('a', {href: place, target: '_blank', rel: 'noopener', dir: 'auto'}, file.title || file.name);
  const picture = file.mimetype.startsWith('image/') ? h('img', {src: place, alt: file.alt_txt || file.title || file.name, loading: 'lazy'}) : null;
  return h('li', {}, picture, h('span', {}, name, h('small', {class: 'quiet'}, ` ${file.pretty_type}, ${size}`)));
}

/** Text, blocks, files and attachments of a message in one fragment. */
function contentOf(message, context) {
  const drawn = document.createDocumentFragment();
  // What a person typed stands in both, and reads better as text; the blocks of the app say it in full.
  if (message.blocks?.length && (message.bot || !message.text)) drawn.append(drawBlocks(message.blocks, context));
  else if (message.text) {
    const words = h('div', {class: 'words'});
    words.append(drawText(message.text, context));
    drawn.append(words);
  }
  if (message.files?.length) drawn.append(h('ul', {class: 'files', 'aria-label': 'Files'}, message.files.map(fileOf)));
  if (message.attachments?.length) drawn.append(drawAttachments(message.attachments, context));
  return drawn;
}

/** What stands in a message, in the order in which it is read and without what can be pressed; long ones are cut at a word. */
function heard(content) {
  const copy = content.cloneNode(true);
  for (const control of copy.querySelectorAll('button, .button, select, textarea, input, label, [role=menu], [role=listbox], [role=status], [popover], svg')) control.remove();
  for (const line of copy.querySelectorAll(LINES)) line.append('\n');
  const text = copy.textContent.split('\n').map((line) => line.replace(/\s+/gu, ' ').trim()).filter(Boolean)
    .map((line, at, all) => (at === all.length - 1 || /[\p{P}]$/u.test(line) ? line : `${line}.`)).join(' ');
  return text.length <= HEARD_LETTERS ? text : `${text.slice(0, HEARD_LETTERS).replace(/\s\S*$/u, '')}…`;
}

/**
 * A list of messages. `room` gives: me, people, person(id), names, zone, now(), app, channel() and what can be done:
 * press(message, action), react(message, name, remove), openThread(message), shortcut(message, callback), profile(anchor, person).
 * `thread`: whether this is a thread, where every reply is shown and none is counted.
 */
export class Timeline {
  constructor(room, {thread = false, label}) {
    this.room = room;
    this.thread = thread;
    this.list = h('ol', {class: 'timeline', 'aria-label': label});
    this.shown = new Map();
    this.read = '';
    /** Threads that were looked into, by the ts of their first message, up to which reply. */
    this.looked = new Map();
    /** Whether something here is marked as new. */
    this.marked = false;
    walkable(this.list, ':scope > .message');
    this.list.addEventListener('focusin', (event) => {
      if (event.target.matches('.message')) this.#reach(event.target);
    });
    this.list.addEventListener('keydown', (event) => {
      const row = event.target.closest('.message');
      const message = row && this.shown.get(row.dataset.ts)?.message;
      if (!message || event.target !== row || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === 'Enter' || event.key === 't') {
        event.preventDefault();
        if (!this.thread && !message.ephemeral) this.room.openThread(message);
      } else if (event.key === 'r') {
        event.preventDefault();
        row.querySelector('[data-do=react]')?.click();
      }
    });
  }

  /** Show these messages and nothing else. `read`: what is newer is marked as new. */
  show(messages, read = '') {
    this.read = read;
    this.shown.clear();
    this.list.replaceChildren();
    for (const message of messages) this.#place(message);
    this.arrange();
  }

  /** A message came or changed. Returns whether it is new here. */
  put(message) {
    const before = this.shown.get(message.ts);
    if (before && JSON.stringify(before.message) === JSON.stringify(message)) return false;
    this.#place(message);
    this.arrange();
    return !before;
  }

  /** Somebody has looked into a thread: what is in it is no news any more. */
  lookedInto(ts, last) {
    this.looked.set(ts, last);
    const found = this.shown.get(ts);
    if (found) this.#place(found.message);
    this.arrange();
  }

  /** A message was deleted. */
  drop(ts) {
    const found = this.shown.get(ts);
    if (!found) return;
    const heir = found.row.nextElementSibling ?? found.row.previousElementSibling;
    const held = found.row.contains(document.activeElement);
    found.row.remove();
    this.shown.delete(ts);
    this.arrange();
    if (held && heir?.isConnected) heir.focus();
  }

  /** A message by its ts, as it is shown. */
  row(ts) {
    return this.shown.get(ts)?.row ?? null;
  }

  /** Tab reaches one message of the list, and what can be done with it; the arrows reach the others. */
  #reach(row) {
    const before = this.list.querySelector(':scope > .message[tabindex="0"]');
    if (before === row) return;
    for (const [each, at] of [[before, '-1'], [row, '0']]) {
      each?.setAttribute('tabindex', at);
      for (const button of each?.querySelectorAll(':scope > .tools button, .author') ?? []) button.setAttribute('tabindex', at);
    }
  }

  #place(message) {
    const before = this.shown.get(message.ts);
    const row = this.#draw(message);
    if (before) {
      const held = before.row.contains(document.activeElement);
      const action = held ? document.activeElement.dataset?.action : '';
      const reached = before.row.tabIndex === 0;
      // What was typed or chosen in it stays where the block is the same.
      const kept = keepValues(before.row);
      before.row.replaceWith(row);
      restoreValues(row, kept);
      if (reached) this.#reach(row);
      if (held) ((action && row.querySelector(`[data-action="${CSS.escape(action)}"]`)) || row).focus({preventScroll: true});
    } else {
      const later = [...this.list.querySelectorAll(':scope > .message')].reverse();
      const previous = later.find((each) => Number(each.dataset.ts) < Number(message.ts));
      if (previous) previous.after(row);
      else this.list.prepend(row);
    }
    this.shown.set(message.ts, {message, row});
  }

  /** Day dividers, the mark of what is new, and authors only where they change. */
  arrange() {
    for (const divider of this.list.querySelectorAll(':scope > .divider')) divider.remove();
    const {zone} = this.room;
    let previous = null;
    this.marked = false;
    const rows = [...this.list.children];
    for (const row of rows) {
      const {message} = this.shown.get(row.dataset.ts);
      const when = atTs(message.ts);
      const newDay = !previous || dayKey(atTs(previous.ts), zone) !== dayKey(when, zone);
      if (newDay && !this.thread) {
        row.before(h('li', {class: 'divider'}, h('span', {role: 'heading', 'aria-level': '2'}, dayName(when, this.room.now(), zone))));
      }
      const fresh = this.read && !this.marked && message.ts > this.read && message.user !== this.room.me.id && previous;
      if (fresh) {
        this.marked = true;
        row.before(h('li', {class: 'divider fresh'}, h('span', {}, 'New')));
      }
      // Beside the time stands that it was changed: such a message keeps its line.
      const together = previous && !newDay && !fresh && !message.edited && previous.user === message.user
        && previous.ephemeral === message.ephemeral && Number(message.ts) - Number(previous.ts) < TOGETHER_SECONDS;
      row.classList.toggle('together', Boolean(together) && !(this.thread && previous === this.shown.get(rows[0].dataset.ts)?.message));
      previous = message;
    }
    if (!this.list.querySelector(':scope > .message[tabindex="0"]')) {
      const last = [...this.list.querySelectorAll(':scope > .message')].pop();
      if (last) this.#reach(last);
    }
  }

  #draw(message) {
    const {room} = this;
    const author = room.person(message.user);
    const when = atTs(message.ts);
    const context = {
      ...room.context(),
      surface: 'message',
      onAction: (action) => room.press(message, action, row),
      options: (asked) => room.options({...asked, message_ts: message.ts, channel: room.channel().id}),
    };
    const name = h('button', {type: 'button', class: 'author', tabindex: '-1', 'aria-haspopup': 'menu', onclick: (event) => room.profile(event.currentTarget, author)}, author.name);
    const time = h('time', {datetime: when.toISOString(), title: fullTime(when, room.zone)}, clockTime(when, room.zone));
    const content = h('div', {class: 'content'});
    content.append(contentOf(message, context));
    const row = h('li', {
      class: `message${message.ephemeral ? ' ephemeral' : ''}`, 'data-ts': message.ts, 'data-testid': 'message', tabindex: '-1',
      'aria-label': this.#spoken(message, author, when, content),
    },
      h('span', {class: 'gutter'}, avatar(author), h('span', {class: 'small-time', 'aria-hidden': 'true'}, clockTime(when, room.zone))),
      h('div', {class: 'body'},
        message.ephemeral ? h('p', {class: 'only-you'}, icon('eye'), 'Only visible to you') : null,
        h('p', {class: 'byline'}, name, author.bot ? h('span', {class: 'tag'}, 'App') : null, time,
          message.edited ? h('span', {class: 'edited', title: `Changed at ${fullTime(atTs(message.edited.ts), room.zone)}`}, '(edited)') : null),
        content,
        this.#reactions(message),
        this.#replies(message)),
      this.#tools(message));
    return row;
  }

  /** What is heard when the arrows come by: who, when, what it says, and how much hangs on it. */
  #spoken(message, author, when, content) {
    const who = [author.name, clockTime(when, this.room.zone), message.ephemeral ? 'only visible to you' : '', message.edited ? 'edited' : ''];
    const hangs = [
      ...(message.reactions ?? []).map((each) => `${each.name.replaceAll('_', ' ')}: ${each.count}`),
      this.thread || !message.reply_count ? '' : message.reply_count === 1 ? '1 reply' : `${message.reply_count} replies`,
    ].filter(Boolean).join(', ');
    return [`${who.filter(Boolean).join(', ')}:`, heard(content), hangs && `(${hangs})`].filter(Boolean).join(' ');
  }

  #reactions(message) {
    if (!message.reactions?.length) return null;
    const {room} = this;
    return h('div', {class: 'reactions', role: 'group', 'aria-label': 'Reactions'}, message.reactions.map((each) => {
      const mine = each.users.includes(room.me.id);
      const who = each.users.map((id) => (id === room.me.id ? 'you' : room.person(id).name)).join(', ');
      return h('button', {
        type: 'button', class: 'reaction', 'aria-pressed': String(mine), title: `${who} reacted with :${each.name}:`,
        'aria-label': `${each.name.replaceAll('_', ' ')}, ${each.count}: ${who}. ${mine ? 'Take yours back' : 'Add yours'}`,
        onclick: () => room.react(message, each.name, mine),
      }, h('span', {'aria-hidden': 'true'}, emojiOf(each.name) ?? `:${each.name}:`), ` ${each.count}`);
    }), iconButton('smile', 'Add a reaction', (event) => this.#pickReaction(event, message), {class: 'icon-button small', 'aria-haspopup': 'dialog'}));
  }

  #replies(message) {
    if (this.thread || !message.reply_count) return null;
    const {room} = this;
    const unread = this.read && message.latest_reply > this.read && message.latest_reply > (this.looked.get(message.ts) ?? '');
    return h('button', {type: 'button', class: `replies${unread ? ' unread' : ''}`, onclick: () => room.openThread(message)},
      h('span', {class: 'faces', 'aria-hidden': 'true'}, (message.reply_users ?? []).slice(0, 3).map((id) => avatar(room.person(id), 'tiny'))),
      h('strong', {}, message.reply_count === 1 ? '1 reply' : `${message.reply_count} replies`),
      unread ? h('span', {class: 'tag new'}, 'new') : null,
      h('span', {class: 'quiet'}, `last at ${clockTime(atTs(message.latest_reply), room.zone)}`));
  }

  #pickReaction(event, message) {
    const anchor = event.currentTarget;
    showEmoji(anchor, 'Choose a reaction', (name) => {
      const mine = message.reactions?.some((each) => each.name === name && each.users.includes(this.room.me.id));
      this.room.react(message, name, mine);
    });
  }

  #tools(message) {
    if (message.ephemeral) return null;
    const {room} = this;
    const shortcuts = room.app.shortcuts.filter((each) => each.type === 'message');
    const tools = h('div', {class: 'tools', role: 'group', 'aria-label': 'What you can do with this message'},
      iconButton('smile', 'Add a reaction', (event) => this.#pickReaction(event, message), {'data-do': 'react', 'aria-haspopup': 'dialog', 'aria-expanded': 'false'}),
      this.thread ? null : iconButton('thread', 'Reply in thread', () => room.openThread(message)),
      iconButton('more', 'More actions', (event) => showMenu(event.currentTarget, 'More actions', [
        ...shortcuts.map((each) => ({label: each.name, note: `${room.app.name} · ${each.description}`, act: () => room.shortcut(message, each.callback_id)})),
        {label: 'Copy text', note: 'To the clipboard', act: () => room.copy(message)},
        {label: 'Mark unread from here', note: '', act: () => room.markUnread(message)},
      ]), {'aria-haspopup': 'menu', 'aria-expanded': 'false'}));
    for (const button of tools.children) button.tabIndex = -1;
    return tools;
  }
}
