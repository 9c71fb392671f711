// Slack's mrkdwn and standard Markdown, drawn as DOM nodes: text is always a text node, nothing here parses HTML.
// docs.slack.dev/messaging/formatting-message-text
//
//   drawText(text, context) -> Node           mrkdwn: a message's text, a section
//   drawPlain(text, context) -> Node          plain_text: emoji names only
//   drawMarkdown(text, context) -> Node       a markdown block
//   context = {names: {users: {id: {name}}, channels: {id: {name}}}, zone: IANA zone}, all of it optional

import {emojiOf} from './emoji.js';

const WORD = /[\p{L}\p{N}]/u;
const EMOJI_AT = /:([a-z0-9_+'-]{1,60}(?:::skin-tone-[2-6])?):/y;
const ENTITY_AT = /&(amp|lt|gt);/y;
const URL_AT = /https?:\/\/[^\s<>|]{1,3000}/y;
const ENTITIES = {amp: '&', lt: '<', gt: '>'};
const SCHEMES = new Set(['http:', 'https:', 'mailto:']);

/** Class names of ours, apart from the page's own: `list task` is `bk-list bk-task`. */
export function classes(names) {
  return names.split(' ').filter(Boolean).map((name) => `bk-${name}`).join(' ');
}

/** An element with classes of ours and children; a child that is a string becomes text. */
export function make(tag, names = '', ...children) {
  const node = document.createElement(tag);
  if (names) node.className = classes(names);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ''));
  return node;
}

/** The address, when a click may follow it: http, https or mailto. Null for every other scheme. */
export function safeUrl(url) {
  try {
    const found = new URL(String(url));
    return SCHEMES.has(found.protocol) ? found.href : null;
  } catch {
    return null;
  }
}

/** Text with Slack's three entities read. */
export function unescaped(text) {
  return String(text).replace(/&(amp|lt|gt);/g, (_, name) => ENTITIES[name]);
}

/** A link that opens beside the page; plain text where the address must not be followed. */
export function drawLink(url, label) {
  const href = safeUrl(url);
  const shown = label || url;
  if (!href) return make('span', 'dead-link', label && label !== url ? `${label} (${url})` : String(url));
  const link = make('a', 'link', ...withEmoji(shown));
  link.href = href;
  link.target = '_blank';
  link.rel = 'noopener noreferrer';
  return link;
}

function nameIn(context, kind, id) {
  const found = context?.names?.[kind];
  const entry = found instanceof Map ? found.get(id) : found && Object.hasOwn(found, id) ? found[id] : null;
  return typeof entry === 'string' ? entry : entry?.name || '';
}

/** A mention of a person, a channel, a group or everybody. `kind`: users, channels, groups, all. */
export function drawMention(kind, id, context, label = '') {
  const name = label.replace(/^[@#]/, '') || nameIn(context, kind, id) || id;
  const mention = make('span', `mention mention-${kind}`, `${kind === 'channels' ? '#' : '@'}${name}`);
  mention.dir = 'auto';
  return mention;
}

/** An emoji by its name, with the name for whoever cannot see it; an unknown name as it was typed. */
export function drawEmoji(name) {
  const drawn = emojiOf(name);
  if (!drawn) return document.createTextNode(`:${name}:`);
  const emoji = make('span', 'emoji', drawn);
  emoji.setAttribute('role', 'img');
  emoji.setAttribute('aria-label', name.replace(/[_-]+/g, ' ').trim());
  emoji.title = `:${name}:`;
  return emoji;
}

function withEmoji(text) {
  const out = [];
  let rest = 0;
  for (const found of String(text).matchAll(/:([a-z0-9_+'-]{1,60}(?:::skin-tone-[2-6])?):/g)) {
    if (!emojiOf(found[1])) continue;
    out.push(text.slice(rest, found.index), drawEmoji(found[1]));
    rest = found.index + found[0].length;
  }
  return [...out, String(text).slice(rest)].filter((piece) => piece !== '');
}

// Times -------------------------------------------------------------------------------------------------------------

function format(when, zone, options) {
  return new Intl.DateTimeFormat('en-GB', {timeZone: zone, ...options}).format(when);
}

/** The whole days from today to `when`, in the zone. */
function daysAway(when, zone, now) {
  const day = (at) => Date.parse(`${new Intl.DateTimeFormat('en-CA', {timeZone: zone}).format(at)}T00:00:00Z`);
  return Math.round((day(when) - day(now)) / 86_400_000);
}

function ago(when, now) {
  const seconds = (when - now) / 1000;
  const units = [['year', 31_536_000], ['month', 2_592_000], ['day', 86_400], ['hour', 3600], ['minute', 60]];
  const [unit, size] = units.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', 1];
  return new Intl.RelativeTimeFormat('en', {numeric: 'auto'}).format(Math.round(seconds / size), unit);
}

/**
 * What stands for `<!date^…>`: `{date_short} at {time}` in the reader's zone. Null for a time that is none.
 * `context.now` (a Date) is what "today" and "ago" count from, by default the machine's.
 */
export function formatDate(seconds, pattern, context) {
  const when = new Date(Number(seconds) * 1000);
  if (seconds === '' || Number.isNaN(when.getTime())) return null;
  const zone = context?.zone || undefined;
  const now = context?.now ?? new Date();
  const long = {day: 'numeric', month: 'long', year: 'numeric'};
  const whole = {
    date_num: () => new Intl.DateTimeFormat('en-CA', {timeZone: zone}).format(when),
    date_slash: () => format(when, zone, {day: '2-digit', month: '2-digit', year: 'numeric'}),
    date: () => format(when, zone, long),
    date_short: () => format(when, zone, {...long, month: 'short'}),
    date_long: () => format(when, zone, {...long, weekday: 'long'}),
    day_divider_pretty: () => format(when, zone, {weekday: 'long', day: 'numeric', month: 'long'}),
    time: () => format(when, zone, {hour: '2-digit', minute: '2-digit'}),
    time_secs: () => format(when, zone, {hour: '2-digit', minute: '2-digit', second: '2-digit'}),
    ago: () => ago(when, now),
  };
  return String(pattern).replace(/\{(\w+)\}/g, (literal, token) => {
    const plain = token.replace(/_pretty$/, '');
    if (Object.hasOwn(whole, token) && token === plain) return whole[token]();
    if (!Object.hasOwn(whole, plain)) return Object.hasOwn(whole, token) ? whole[token]() : literal;
    return {'-1': 'yesterday', 0: 'today', 1: 'tomorrow'}[daysAway(when, zone, now)] ?? whole[plain]();
  });
}

// mrkdwn: inline ----------------------------------------------------------------------------------------------------

const STYLES = {'*': 'strong', '_': 'em', '~': 's'};

function drawToken(inside, context) {
  const bar = inside.indexOf('|');
  const head = bar < 0 ? inside : inside.slice(0, bar);
  const label = bar < 0 ? '' : unescaped(inside.slice(bar + 1));
  if (/^@[UWB][A-Z0-9]+$/.test(head)) return drawMention('users', head.slice(1), context, label);
  if (/^#[CGD][A-Z0-9]+$/.test(head)) return drawMention('channels', head.slice(1), context, label);
  if (/^!(channel|here|everyone)$/.test(head)) return drawMention('all', head.slice(1), context, label);
  if (head.startsWith('!subteam^')) return drawMention('groups', head.slice(9), context, label);
  if (head.startsWith('!date^')) {
    const [, seconds, pattern = '', link = ''] = head.split('^');
    const shown = formatDate(seconds, unescaped(pattern), context) ?? label;
    return link && safeUrl(link) ? drawLink(unescaped(link), shown) : make('time', 'date', shown);
  }
  const url = unescaped(head);
  return safeUrl(url) ? drawLink(url, label) : null;
}

/** Where a style that opens before `from` closes on its line, or -1. */
function closing(text, from, mark) {
  for (let at = from; at < text.length && text[at] !== '\n'; at += 1) {
    if (text[at] === '`') {
      const end = text.indexOf('`', at + 1);
      if (end > 0 && !text.slice(at, end).includes('\n')) at = end;
    } else if (text[at] === '<') {
      const end = text.indexOf('>', at + 1);
      if (end > 0 && end - at < 4000 && !text.slice(at, end).includes('\n')) at = end;
    } else if (text[at] === mark && at > from && !/\s/.test(text[at - 1]) && !WORD.test(text[at + 1] ?? ' ')) {
      return at;
    }
  }
  return -1;
}

/** Draw one run of mrkdwn into `parent`. A style does not stand inside itself, so this goes three deep at most. */
function inline(parent, text, context, verbatim = false, inside = '') {
  let plain = '';
  // A style that is not closed from here on its line is not closed from further right either: looked for once.
  const hopeless = {};
  const put = (node) => {
    if (plain) parent.append(plain);
    plain = '';
    parent.append(node);
  };
  for (let at = 0; at < text.length; at += 1) {
    const mark = text[at];
    const before = at > 0 ? text[at - 1] : '';
    if (mark === '&') {
      ENTITY_AT.lastIndex = at;
      const found = ENTITY_AT.exec(text);
      plain += found ? ENTITIES[found[1]] : '&';
      at += found ? found[0].length - 1 : 0;
    } else if (mark === '`') {
      const end = text.indexOf('`', at + 1);
      const code = end > at + 1 ? text.slice(at + 1, end) : '';
      if (code && !code.includes('\n')) {
        put(make('code', 'code', unescaped(code.replace(/<([^<>|]*\|)?([^<>]*)>/g, '$2'))));
        at = end;
      } else plain += mark;
    } else if (mark === '<') {
      const end = text.indexOf('>', at + 1);
      const token = end > 0 && end - at < 4000 ? drawToken(text.slice(at + 1, end), context) : null;
      if (token) {
        put(token);
        at = end;
      } else plain += mark;
    } else if (mark === ':') {
      EMOJI_AT.lastIndex = at;
      const found = EMOJI_AT.exec(text);
      if (found && emojiOf(found[1])) {
        put(drawEmoji(found[1]));
        at += found[0].length - 1;
      } else plain += mark;
    } else if (mark in STYLES && !inside.includes(mark) && !(at < (hopeless[mark] ?? -1))
      && !WORD.test(before) && before !== mark && /[^\s]/.test(text[at + 1] ?? ' ') && text[at + 1] !== mark) {
      const end = closing(text, at + 1, mark);
      if (end < 0) {
        const line = text.indexOf('\n', at);
        hopeless[mark] = line < 0 ? text.length : line;
        plain += mark;
      } else {
        const styled = make(STYLES[mark]);
        inline(styled, text.slice(at + 1, end), context, verbatim, inside + mark);
        put(styled);
        at = end;
      }
    } else if (mark === 'h' && !verbatim && !WORD.test(before)) {
      URL_AT.lastIndex = at;
      const found = URL_AT.exec(text);
      const url = found ? found[0].replace(/[.,;:!?'")\]*_~]+$/, '') : '';
      if (url && safeUrl(unescaped(url))) {
        put(drawLink(unescaped(url), ''));
        at += url.length - 1;
      } else plain += mark;
    } else plain += mark;
  }
  if (plain) parent.append(plain);
}

// mrkdwn: lines -----------------------------------------------------------------------------------------------------

function drawLines(parent, text, context, verbatim) {
  const lines = text.split('\n');
  let running = [];
  const flush = () => {
    if (running.length) {
      const run = make('span', 'lines');
      inline(run, running.join('\n'), context, verbatim);
      parent.append(run);
    }
    running = [];
  };
  for (let at = 0; at < lines.length; at += 1) {
    const quoted = /^(?:&gt;|>)/;
    if (/^(?:&gt;|>){3}/.test(lines[at])) {
      flush();
      const quote = make('blockquote', 'quote');
      inline(quote, [lines[at].replace(/^(?:&gt;|>){3} ?/, ''), ...lines.slice(at + 1)].join('\n'), context, verbatim);
      parent.append(quote);
      return;
    }
    if (quoted.test(lines[at])) {
      flush();
      const said = [];
      for (; at < lines.length && quoted.test(lines[at]); at += 1) said.push(lines[at].replace(/^(?:&gt;|>) ?/, ''));
      at -= 1;
      const quote = make('blockquote', 'quote');
      inline(quote, said.join('\n'), context, verbatim);
      parent.append(quote);
    } else running.push(lines[at]);
  }
  flush();
}

/** mrkdwn as a node. `verbatim`: addresses that stand bare in the text do not become links. */
export function drawText(text, context = {}, verbatim = false) {
  const drawn = make('div', 'mrkdwn');
  drawn.dir = 'auto';
  const whole = String(text ?? '');
  let rest = 0;
  while (rest < whole.length) {
    const open = whole.indexOf('```', rest);
    const close = open < 0 ? -1 : whole.indexOf('```', open + 3);
    if (close < 0) break;
    if (open > rest) drawLines(drawn, whole.slice(rest, open).replace(/\n$/, ''), context, verbatim);
    const code = whole.slice(open + 3, close).replace(/^\n/, '').replace(/<([^<>|]*\|)?([^<>]*)>/g, '$2');
    drawn.append(make('pre', 'preformatted', unescaped(code)));
    rest = close + 3;
    if (whole[rest] === '\n') rest += 1;
  }
  if (rest < whole.length) drawLines(drawn, whole.slice(rest), context, verbatim);
  return drawn;
}

/** plain_text as a node: what stands there, with emoji names as emoji unless `emoji` is false. */
export function drawPlain(text, {emoji = true} = {}) {
  const plain = unescaped(text ?? '');
  const drawn = make('span', 'plain', ...(emoji ? withEmoji(plain) : [plain]));
  drawn.dir = 'auto';
  return drawn;
}

// Markdown ----------------------------------------------------------------------------------------------------------

const MARKS = [['**', 'strong'], ['__', 'strong'], ['~~', 's'], ['*', 'em'], ['_', 'em']];

function markdownInline(parent, text, context, depth = 0) {
  let plain = '';
  const hopeless = {};
  const put = (node) => {
    if (plain) parent.append(...withEmoji(plain));
    plain = '';
    parent.append(node);
  };
  for (let at = 0; at < text.length; at += 1) {
    const mark = text[at];
    if (mark === '\\' && /[\\`*_{}[\]()#+\-.!~|<>]/.test(text[at + 1] ?? '')) {
      plain += text[at + 1];
      at += 1;
      continue;
    }
    if (mark === '`') {
      const end = text.indexOf('`', at + 1);
      if (end > at + 1) {
        put(make('code', 'code', text.slice(at + 1, end)));
        at = end;
        continue;
      }
    }
    if (mark === '[' || (mark === '!' && text[at + 1] === '[') || mark === '<' || mark === 'h') {
      const slice = text.slice(at, at + 4000);
      const link = /^!?\[([^[\]]*)\]\(\s*([^\s()]+)(?:\s+"[^"]*")?\s*\)/.exec(slice) ?? /^<((https?:\/\/|mailto:)[^\s<>]+)>/.exec(slice);
      if (link) {
        put(drawLink(mark === '<' ? link[1] : link[2], link[1]));
        at += link[0].length - 1;
        continue;
      }
      if (mark === '<') {
        const token = /^<([@#!][^<>\n]+)>/.exec(slice);
        const drawn = token && drawToken(token[1], context);
        if (drawn) {
          put(drawn);
          at += token[0].length - 1;
          continue;
        }
      }
      if (mark === 'h' && !WORD.test(text[at - 1] ?? ' ')) {
        URL_AT.lastIndex = at;
        const url = URL_AT.exec(text)?.[0].replace(/[.,;:!?'")\]*_~]+$/, '');
        if (url) {
          put(drawLink(url, ''));
          at += url.length - 1;
          continue;
        }
      }
    }
    const [sign, tag] = MARKS.find(([each]) => text.startsWith(each, at)) ?? [];
    const inWord = sign?.includes('_') && WORD.test(text[at - 1] ?? ' ');
    if (sign && depth < 6 && !inWord && !(at < (hopeless[sign] ?? -1)) && /\S/.test(text[at + sign.length] ?? ' ')) {
      let end = text.indexOf(sign, at + sign.length + 1);
      // `*a **b** c*`: a double sign does not close a single one.
      while (end > 0 && sign.length === 1 && text[end + 1] === sign) end = text.indexOf(sign, end + 2);
      if (end > 0 && /\S/.test(text[end - 1])) {
        const styled = make(tag);
        markdownInline(styled, text.slice(at + sign.length, end), context, depth + 1);
        put(styled);
        at = end + sign.length - 1;
        continue;
      }
      hopeless[sign] = end > 0 ? end : text.length;
    }
    plain += mark;
  }
  if (plain) parent.append(...withEmoji(plain));
}

const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;

function markdownList(lines) {
  const root = {list: null, children: []};
  const path = [{indent: -1, node: root}];
  for (const line of lines) {
    const [, space, sign, words] = ITEM.exec(line);
    while (path.length > 1 && path[path.length - 1].indent >= space.length) path.pop();
    const entry = {ordered: /\d/.test(sign), start: Number.parseInt(sign, 10), words, children: []};
    path[path.length - 1].node.children.push(entry);
    if (path.length < 10) path.push({indent: space.length, node: entry});
  }
  return root.children;
}

function drawList(entries, context) {
  const list = make(entries[0].ordered ? 'ol' : 'ul', 'list');
  if (entries[0].ordered && entries[0].start !== 1) list.start = entries[0].start;
  for (const entry of entries) {
    const item = make('li');
    const task = /^\[([ xX])\]\s+(.*)$/.exec(entry.words);
    if (task) {
      item.classList.add('bk-checked');
      item.append(task[1] === ' ' ? '☐ ' : '☑ ');
    }
    markdownInline(item, task ? task[2] : entry.words, context);
    if (entry.children.length) item.append(drawList(entry.children, context));
    list.append(item);
  }
  return list;
}

function cellsOf(line) {
  return line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());
}

function markdownTable(lines, context) {
  const table = make('table', 'table');
  const row = (line, tag) => make('tr', '', ...cellsOf(line).map((words) => {
    const cell = make(tag);
    if (tag === 'th') cell.scope = 'col';
    markdownInline(cell, words, context);
    return cell;
  }));
  table.append(make('thead', '', row(lines[0], 'th')));
  table.append(make('tbody', '', ...lines.slice(2).map((line) => row(line, 'td'))));
  const scroll = make('div', 'scroll-x', table);
  scroll.tabIndex = 0;
  scroll.setAttribute('role', 'group');
  scroll.setAttribute('aria-label', 'Table');
  return scroll;
}

function markdownBlocks(parent, lines, context, depth = 0) {
  const ruler = /^\s{0,3}([-*_])(?:\s*\1){2,}\s*$/;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    const fence = /^\s{0,3}(```|~~~)/.exec(line);
    const heading = /^\s{0,3}(#{1,6})\s(.*)$/.exec(line);
    if (fence) {
      const code = [];
      for (at += 1; at < lines.length && !lines[at].trim().startsWith(fence[1]); at += 1) code.push(lines[at]);
      parent.append(make('pre', 'preformatted', code.join('\n')));
    } else if (heading) {
      const title = make('div', `markdown-heading level-${heading[1].length}`);
      title.setAttribute('role', 'heading');
      title.setAttribute('aria-level', String(Math.min(6, heading[1].length + 2)));
      markdownInline(title, heading[2].trim(), context);
      parent.append(title);
    } else if (ruler.test(line)) {
      parent.append(make('hr', 'divider'));
    } else if (/^\s{0,3}>/.test(line) && depth < 6) {
      const said = [];
      for (; at < lines.length && /^\s{0,3}>/.test(lines[at]); at += 1) said.push(lines[at].replace(/^\s{0,3}> ?/, ''));
      at -= 1;
      const quote = make('blockquote', 'quote');
      markdownBlocks(quote, said, context, depth + 1);
      parent.append(quote);
    } else if (ITEM.test(line)) {
      const items = [];
      for (; at < lines.length && ITEM.test(lines[at]); at += 1) items.push(lines[at]);
      at -= 1;
      parent.append(drawList(markdownList(items), context));
    } else if (line.includes('|') && /^[\s|:-]+$/.test(lines[at + 1] ?? '') && lines[at + 1].includes('-')) {
      const rows = [];
      for (; at < lines.length && lines[at].includes('|'); at += 1) rows.push(lines[at]);
      at -= 1;
      parent.append(markdownTable(rows, context));
    } else if (line.trim()) {
      const words = [];
      const starts = (next) => !next.trim() || ITEM.test(next) || ruler.test(next) || /^\s{0,3}(#{1,6}\s|>|```|~~~)/.test(next);
      for (; at < lines.length && !(words.length && starts(lines[at])); at += 1) words.push(lines[at]);
      at -= 1;
      const paragraph = make('p', 'paragraph');
      markdownInline(paragraph, words.join('\n'), context);
      parent.append(paragraph);
    }
  }
}

/** A markdown block: headings, lists, quotes, tables, code, links and styles; images become links. */
export function drawMarkdown(text, context = {}) {
  const drawn = make('div', 'markdown');
  drawn.dir = 'auto';
  markdownBlocks(drawn, String(text ?? '').split('\n'), context);
  return drawn;
}
