// The page: whom one is, the conversations, and everything that happens in them.

import {Refused, act, follow, look, post, silence} from './api.js';
import {drawBlocks, drawText} from './blocks.js';
import {drawChooser} from './chooser.js';
import {clockPanel} from './clock.js';
import {composer} from './composer.js';
import {avatar, h, icon, iconButton, isTyping, walkable} from './dom.js';
import {Inspector} from './inspector.js';
import {closeMenu, showMenu} from './menu.js';
import {clockTime, dayKey, town} from './times.js';
import {Timeline} from './timeline.js';
import {closeModals, syncModals} from './views.js';
import {roleWords} from './words.js';

const $ = (id) => document.getElementById(id);
const PAGE = 60;
const state = {
  people: new Map(), app: null, team: '', me: null, conversations: [], names: {}, channel: null, tab: 'messages', home: null,
  thread: null, more: false, inspecting: false, line: 'live',
};
let stopFollowing = null;
let timeline = null;
let threadLine = null;
let mainComposer = null;
let threadComposer = null;
let refreshing = 0;
let looking = 0;
/** Whether the reader looks at the newest message, and wants to when another comes. */
let sticks = true;

// Words that come and go ----------------------------------------------------------------------------------------------

function toast(words) {
  if (!words) return;
  const note = h('p', {class: 'toast'}, words);
  $('toasts').append(note);
  setTimeout(() => note.remove(), 7000);
}

function announce(words) {
  const line = h('p', {}, words);
  $('live').append(line);
  while ($('live').children.length > 5) $('live').firstChild.remove();
  setTimeout(() => line.remove(), 2000);
}

/** Do it; a refusal is told, anything else is a fault of the page. */
async function kindly(doing) {
  try {
    return await doing();
  } catch (no) {
    if (!(no instanceof Refused)) throw no;
    toast(no.detail);
    return null;
  }
}

// Who and where -------------------------------------------------------------------------------------------------------

const person = (id) => state.people.get(id) ?? {id, name: id || 'Somebody', zone: 'UTC', title: '', role: '', team: ''};
const zone = () => state.me?.zone || 'UTC';
const isDm = (channel) => channel?.kind === 'im';
const channelName = (channel) => (isDm(channel) ? state.app.name : channel.kind !== 'mpim' && channel.name
  || channel.members.filter((id) => id !== state.me.id).map((id) => person(id).name).join(', '));
const clock = clockPanel({zone, tick: (now) => ticked(now)});

/** What timelines, the inspector and blocks ask of the page. */
const room = {
  get me() { return state.me; },
  get app() { return state.app; },
  get zone() { return zone(); },
  people: () => [...state.people.values()],
  person,
  now: () => clock.now(),
  channel: () => state.channel,
  context: () => ({
    names: {
      users: Object.fromEntries([...state.people.values()].map((each) => [each.id, {name: each.name, title: each.title, deleted: each.gone}])),
      channels: Object.fromEntries(Object.entries(state.names).map(([id, name]) => [id, {name}])),
    },
    zone: zone(), now: clock.now(), me: state.me.id, channel: state.channel?.id ?? '',
  }),
  press, react, openThread, shortcut, profile, copy, markUnread, options,
};

function address(more = {}) {
  const {me = state.me?.id, channel = state.channel?.id, tab = state.tab, thread = null} = more;
  let text = `#/as/${me}`;
  if (channel) text += `/${channel}`;
  if (thread) text += `/thread/${thread}`;
  else if (tab && tab !== 'messages') text += `/${tab}`;
  return text;
}

function asked() {
  const [, me, channel, what, ts] = /^#\/as\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?(?:\/([^/]+))?/.exec(location.hash) ?? [];
  return {me, channel, tab: what && what !== 'thread' ? what : 'messages', thread: what === 'thread' ? ts : null};
}

async function route() {
  closeMenu();
  const to = asked();
  if (!to.me) {
    if (state.me) await kindly(readWorkspace);
    return choose();
  }
  const wanted = state.people.get(to.me);
  if (!wanted || wanted.bot || wanted.gone) {
    toast('There is nobody by this address. Choose somebody.');
    return choose();
  }
  document.body.classList.remove('choosing', 'drawer');
  if (state.me?.id !== wanted.id) {
    await become(wanted);
  }
  const channel = state.conversations.find((each) => each.id === to.channel) ?? dmOf() ?? state.conversations[0];
  const tab = isDm(channel) && ['home', 'about'].includes(to.tab) ? to.tab : 'messages';
  const fresh = state.channel?.id !== channel.id || state.tab !== tab || !timeline;
  state.channel = channel;
  state.tab = tab;
  drawSidebar();
  if (fresh) await enter();
  await showThread(to.thread);
}

const dmOf = () => state.conversations.find(isDm);

function choose() {
  leave();
  document.body.classList.add('choosing');
  document.title = 'Who would you like to be? · Sandbox';
  $('main').replaceChildren(drawChooser({people: [...state.people.values()], now: clock.now(), team: state.team, open: state.me?.id}));
  state.me = null;
  timeline = null;
  drawTop();
  $('main').querySelector('#find')?.focus({preventScroll: true});
}

function leave() {
  stopFollowing?.();
  stopFollowing = null;
  closeModals();
  $('sidebar').replaceChildren();
  shutPanes();
}

async function become(who) {
  leave();
  state.me = who;
  state.channel = null;
  timeline = null;
  drawTop();
  await kindly(readConversations);
  stopFollowing = follow(who.id, heard, (line) => {
    if (state.line === line) return;
    state.line = line;
    document.body.classList.toggle('lost', line === 'lost');
    $('line').textContent = line === 'lost' ? 'The sandbox does not answer. Trying again…' : '';
  });
  const views = await kindly(() => look('page/views', {user: who.id}));
  if (views && state.me === who) showModals(views.modals);
}

async function readConversations() {
  const {conversations, names} = await look('page/conversations', {user: state.me.id});
  state.conversations = conversations.sort((a, b) => isDm(b) - isDm(a) || channelName(a).localeCompare(channelName(b)));
  state.names = names;
  if (state.channel) state.channel = conversations.find((each) => each.id === state.channel.id) ?? state.channel;
}

// The top bar and the sidebar ---------------------------------------------------------------------------------------------

const THEMES = {auto: 'As the system', light: 'Light', dark: 'Dark'};

function dress(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function drawTop() {
  const me = state.me;
  $('topbar').replaceChildren(
    me ? iconButton('menu', 'Conversations', () => toggleDrawer(), {class: 'icon-button drawer-button', 'aria-expanded': 'false', 'aria-controls': 'sidebar', id: 'drawer-button'}) : '',
    h('a', {class: 'brand', href: '#/', title: 'Choose whom to be'}, h('span', {class: 'brand-mark', 'aria-hidden': 'true'}), h('span', {class: 'brand-name'}, state.team || 'Sandbox')),
    h('section', {class: 'clock-place', 'aria-label': 'Time of the workspace'}, clock.node),
    h('div', {class: 'top-right'},
      h('p', {id: 'line', class: 'line', role: 'status'}),
      me ? h('button', {type: 'button', class: 'me', 'aria-haspopup': 'menu', 'aria-expanded': 'false', onclick: (event) => meMenu(event.currentTarget)},
        avatar(me), h('span', {class: 'me-name'}, h('strong', {dir: 'auto'}, me.name), h('small', {}, [me.role ? roleWords(me.role) : me.title, town(me.zone)].filter(Boolean).join(' · '))),
        h('span', {class: 'hidden'}, '. You are this person; change it')) : null,
      me ? null : iconButton('sun', 'Light or dark', (event) => themeMenu(event.currentTarget), {'aria-haspopup': 'menu', 'aria-expanded': 'false'})));
  clock.draw();
}

const themes = () => Object.entries(THEMES).map(([key, label]) => ({
  label: `${label}${(localStorage.getItem('theme') ?? 'auto') === key ? ' ✓' : ''}`,
  act: () => { localStorage.setItem('theme', key); dress(key); },
}));

function themeMenu(anchor) {
  showMenu(anchor, 'Light or dark', themes());
}

function meMenu(anchor) {
  showMenu(anchor, `You are ${state.me.name}`, [
    {label: 'Be somebody else', note: 'In this tab', act: () => { location.hash = '#/'; }},
    {label: 'Be somebody else as well', note: 'In a new tab', act: () => window.open('#/', '_blank', 'noopener')},
    {label: 'Inspect me', note: `What ${state.app.name} decided, and why${hint('i')}`, act: () => inspect(state.me.id)},
    {label: 'Keys', note: `What the keyboard does${hint('?')}`, act: showKeys},
    {heading: 'Light or dark'}, ...themes(),
  ]);
}

function toggleDrawer(open = !document.body.classList.contains('drawer')) {
  document.body.classList.toggle('drawer', open);
  $('drawer-button')?.setAttribute('aria-expanded', String(open));
  if (open) $('sidebar').querySelector('a')?.focus();
  else if ($('sidebar').contains(document.activeElement)) $('drawer-button')?.focus();
}

function drawSidebar() {
  const held = $('sidebar').contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  const entry = (channel) => {
    const current = channel.id === state.channel?.id;
    const unread = channel.unread;
    return h('li', {}, h('a', {
      href: address({channel: channel.id, tab: 'messages'}), class: `entry${unread ? ' unread' : ''}`, 'aria-current': current ? 'page' : null,
    }, isDm(channel) ? avatar(person(state.app.user), 'tiny') : icon(channel.kind === 'group' ? 'lock' : 'hash'),
    h('span', {class: 'entry-name', dir: 'auto'}, channelName(channel)),
    channel.kind === 'group' ? h('span', {class: 'hidden'}, ' (private)') : null,
    unread ? h('span', {class: 'badge'}, unread > 99 ? '99+' : String(unread), h('span', {class: 'hidden'}, ' unread')) : null));
  };
  const part = (title, all, empty) => {
    const id = `part-${title.toLowerCase()}`;
    return h('section', {'aria-labelledby': id}, h('h2', {id}, title), all.length ? h('ul', {}, all.map(entry)) : h('p', {class: 'quiet'}, empty));
  };
  const channels = state.conversations.filter((each) => each.kind === 'channel' || each.kind === 'group');
  const groups = state.conversations.filter((each) => each.kind === 'mpim');
  $('sidebar').replaceChildren(
    part('Apps', state.conversations.filter(isDm), 'No app is here.'),
    part('Channels', channels, `${state.me.name} is in no channel.`),
    groups.length ? part('Messages', groups, '') : '');
  if (held) [...$('sidebar').querySelectorAll('a')].find((each) => each.getAttribute('href') === held)?.focus();
  const unread = state.conversations.reduce((sum, each) => sum + each.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ''}${state.channel ? channelName(state.channel) : ''} · ${state.me.name} · ${state.team}`;
}

// A conversation ------------------------------------------------------------------------------------------------------

async function enter() {
  const {channel} = state;
  state.keepUnread = false;
  shutPanes(true);
  const body = h('div', {class: 'room-body'});
  const tabs = isDm(channel) ? [state.app.home_tab && ['home', 'Home'], state.app.messages_tab && ['messages', 'Messages'], ['about', 'About']].filter(Boolean) : [];
  $('main').replaceChildren(
    h('header', {class: 'room-head'},
      h('div', {class: 'room-title'},
        h('h1', {dir: 'auto'}, isDm(channel) ? avatar(person(state.app.user), 'tiny') : icon(channel.kind === 'group' ? 'lock' : 'hash'), h('span', {}, channelName(channel))),
        isDm(channel) ? null : h('button', {type: 'button', class: 'btn quiet-btn small', 'aria-haspopup': 'menu', 'aria-expanded': 'false', onclick: (event) => showMembers(event.currentTarget)},
          channel.members.length === 1 ? '1 member' : `${channel.members.length} members`),
        h('button', {type: 'button', class: 'btn small inspect-button', title: `What was decided, and why${hint('i')}`, onclick: () => inspect(state.inspecting ? null : state.me.id)}, icon('lens'), 'Inspect')),
      tabs.length > 1 ? h('nav', {class: 'tabs', 'aria-label': `Tabs of ${state.app.name}`},
        tabs.map(([key, label]) => h('a', {href: address({tab: key}), 'aria-current': state.tab === key ? 'page' : null}, label))) : null),
    body);
  timeline = new Timeline(room, {label: `Messages in ${channelName(channel)}`});
  mainComposer = null;
  if (state.tab === 'home') return enterHome(body);
  if (state.tab === 'about') return enterAbout(body);
  return enterMessages(body);
}

async function enterMessages(body) {
  const {channel} = state;
  const earlier = h('button', {type: 'button', class: 'btn small earlier', hidden: true, onclick: () => readEarlier(earlier)}, 'Earlier messages');
  const empty = h('div', {class: 'empty', hidden: true}, h('p', {}, isDm(channel) ? `Nothing between you and ${state.app.name} yet.` : 'Nobody has written here yet.'),
    isDm(channel) ? h('p', {class: 'quiet'}, 'Say something, or let time pass with the clock above.') : null);
  const scroller = h('div', {class: 'scroller', id: 'scroller'}, earlier, empty, timeline.list);
  const down = h('button', {type: 'button', class: 'btn small to-end', hidden: true, onclick: () => toEnd(true)}, icon('down'), 'New messages');
  const readOnly = isDm(channel) && (!state.app.messages_tab || state.app.read_only);
  mainComposer = composer({
    label: `Message to ${isDm(channel) ? state.app.name : `#${channelName(channel)}`}`, app: state.app,
    send: (text) => send(text, null), shortcut: (callback) => globalShortcut(callback),
  });
  body.replaceChildren(scroller, down, readOnly || channel.archived
    ? h('p', {class: 'quiet empty'}, channel.archived ? 'This channel is archived.' : `${state.app.name} takes no messages here.`) : mainComposer.form);
  const grown = new ResizeObserver(() => { if (sticks) toEnd(); });
  grown.observe(scroller);
  grown.observe(timeline.list);
  scroller.addEventListener('scroll', () => { sticks = atEnd(); }, {passive: true});
  scroller.addEventListener('scroll', () => { if (atEnd()) { down.hidden = true; readUp(); } }, {passive: true});
  if (isDm(channel)) kindly(() => act('home', {user: state.me.id, tab: 'messages'}));
  await readMessages();
  toEnd();
  if (!isNarrow()) mainComposer.field.focus({preventScroll: true});
}

const isNarrow = () => matchMedia('(max-width: 720px)').matches;

async function readMessages() {
  const {channel, me} = state;
  const line = timeline;
  const before = new Set(line.shown.keys());
  const found = await kindly(() => look('page/messages', {user: me.id, channel: channel.id, limit: PAGE}));
  if (!found || timeline !== line || state.tab !== 'messages') return;
  const kept = timeline.read;
  // What came while it was read may be missing in it.
  const came = [...line.shown.values()].map((each) => each.message).filter((each) => !before.has(each.ts));
  timeline.show(found.messages, kept || found.read);
  for (const message of came) timeline.put(message);
  showMore(found.more);
  readUp();
}

/** What was said after the messages were read, and before what happens was followed. */
async function catchUp() {
  const {channel, me} = state;
  const line = timeline;
  if (!channel || !line || state.tab !== 'messages') return;
  const found = await kindly(() => look('page/messages', {user: me.id, channel: channel.id, limit: PAGE}));
  if (!found || timeline !== line) return;
  for (const message of found.messages) if (!line.row(message.ts)) line.put(message);
  showMore(found.more);
}

function showMore(more) {
  state.more = more;
  const earlier = document.querySelector('.earlier');
  if (earlier) earlier.hidden = !more;
  const empty = document.querySelector('#scroller > .empty');
  if (empty) empty.hidden = timeline.shown.size > 0;
}

async function readEarlier(button) {
  const first = timeline.list.querySelector('.message');
  if (!first) return;
  button.disabled = true;
  const found = await kindly(() => look('page/messages', {user: state.me.id, channel: state.channel.id, limit: PAGE, before: first.dataset.ts}));
  button.disabled = false;
  if (!found) return;
  const scroller = $('scroller');
  const height = scroller.scrollHeight;
  for (const message of found.messages.reverse()) timeline.put(message);
  scroller.scrollTop += scroller.scrollHeight - height;
  showMore(found.more);
  (found.more ? button : timeline.list.querySelector('.message')).focus({preventScroll: true});
}

const atEnd = () => {
  const scroller = $('scroller');
  return !scroller || scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
};

function toEnd(focus = false) {
  const scroller = $('scroller');
  if (scroller) scroller.scrollTop = scroller.scrollHeight;
  sticks = true;
  if (focus) timeline.list.querySelector('.message:last-child')?.focus({preventScroll: true});
}

/** What stands on the screen is read. */
function readUp() {
  const {channel} = state;
  const last = channel?.latest;
  if (!last || document.hidden || state.tab !== 'messages' || !atEnd() || !channel.unread || state.keepUnread) return;
  channel.unread = 0;
  drawSidebar();
  kindly(() => post('page/read', {user: state.me.id, channel: channel.id, ts: last}));
}

async function markUnread(message) {
  state.keepUnread = true;
  await kindly(() => post('page/read', {user: state.me.id, channel: state.channel.id, ts: message.ts, unread: true}));
  await kindly(readConversations);
  timeline.read = state.channel.read;
  timeline.arrange();
  drawSidebar();
}

async function enterHome(body) {
  const place = h('div', {class: 'scroller home', id: 'home'}, h('p', {class: 'quiet empty'}, 'Opening…'));
  body.replaceChildren(place);
  const answer = await kindly(() => act('home', {user: state.me.id, tab: 'home'}));
  const views = await kindly(() => look('page/views', {user: state.me.id}));
  if (state.tab !== 'home' || !place.isConnected) return;
  drawHome(views?.home ?? null, answer ? silence(answer, state.app.name) : '');
}

function drawHome(view, trouble = '') {
  const place = $('home');
  if (!place) return;
  if (!view) {
    place.replaceChildren(h('div', {class: 'empty'}, h('p', {}, `${state.app.name} shows nothing on its Home tab yet.`), trouble ? h('p', {class: 'trouble'}, trouble) : null));
    return;
  }
  const wrong = h('p', {class: 'trouble', role: 'alert'}, trouble);
  const page = h('div', {class: 'home-page'});
  page.append(drawBlocks(view.blocks, {
    ...room.context(), surface: 'home',
    onAction: (action) => pressed(page, wrong, {view_id: view.id}, action),
    options: (given) => options({...given, view_id: view.id}),
  }));
  place.replaceChildren(page, wrong);
}

function enterAbout(body) {
  const {app} = state;
  body.replaceChildren(h('div', {class: 'scroller about'},
    h('div', {class: 'about-head'}, avatar(person(app.user), 'large'), h('div', {}, h('h2', {}, app.name), h('p', {}, app.description || 'It says nothing about itself.'))),
    app.commands.length ? [h('h3', {}, 'Commands'), h('dl', {class: 'facts'}, app.commands.map((each) => [h('dt', {}, h('code', {}, each.command)), h('dd', {}, each.description, each.hint ? h('small', {class: 'quiet'}, ` ${each.hint}`) : null)]))] : null,
    app.shortcuts.length ? [h('h3', {}, 'Shortcuts'), h('dl', {class: 'facts'}, app.shortcuts.map((each) => [h('dt', {}, each.name), h('dd', {}, each.description, h('small', {class: 'quiet'}, each.type === 'message' ? ' in the menu of a message' : ' beside the field where you write'))]))] : null,
    h('h3', {}, 'What it may do here'),
    h('ul', {class: 'scopes'}, app.scopes.filter((scope) => scope !== 'connections:write').map((scope) => h('li', {}, h('code', {}, scope)))),
    app.home_tab ? null : h('p', {class: 'quiet'}, 'It has no Home tab: its manifest switches it off.')));
}

// Threads and panes ----------------------------------------------------------------------------------------------------

const inspector = new Inspector(room, () => inspect(null));

function drawPanes() {
  const panes = $('panes');
  panes.hidden = !panes.children.length;
  document.body.classList.toggle('with-pane', panes.children.length > 0);
}

function shutPanes(threadOnly = false) {
  $('panes').querySelector('.thread')?.remove();
  threadLine = null;
  state.thread = null;
  if (!threadOnly) {
    inspector.node.remove();
    state.inspecting = false;
  }
  drawPanes();
}

function openThread(message) {
  location.hash = address({thread: message.thread_ts ?? message.ts});
}

async function showThread(ts) {
  if (!ts) {
    if (state.thread) shutPanes(true);
    return;
  }
  if (state.thread === ts && threadLine) return;
  const {channel, me} = state;
  const found = await kindly(() => look('page/thread', {user: me.id, channel: channel.id, ts}));
  if (!found || state.channel?.id !== channel.id) return;
  shutPanes(true);
  state.thread = ts;
  threadLine = new Timeline(room, {thread: true, label: 'Replies'});
  threadLine.show(found.messages);
  threadComposer = composer({label: 'Reply', app: state.app, send: (text) => send(text, ts), commands: false});
  const shut = () => {
    location.hash = address();
    timeline?.row(ts)?.focus();
  };
  const scroller = h('div', {class: 'scroller', id: 'thread-scroller'}, threadLine.list);
  const pane = h('section', {class: 'pane thread', 'aria-labelledby': 'thread-title', 'data-testid': 'thread'},
    h('header', {class: 'pane-head'}, h('h2', {id: 'thread-title'}, 'Thread'), h('span', {class: 'quiet', dir: 'auto'}, channelName(channel)), iconButton('close', 'Close the thread', shut)),
    scroller, isDm(channel) && (!state.app.messages_tab || state.app.read_only) ? null : threadComposer.form);
  $('panes').append(pane);
  drawPanes();
  scroller.scrollTop = scroller.scrollHeight;
  timeline?.lookedInto(ts, found.messages.at(-1).ts);
  threadComposer.field.focus({preventScroll: true});
}

function inspect(user) {
  const before = state.inspecting;
  state.inspecting = Boolean(user);
  if (!user) {
    inspector.node.remove();
    drawPanes();
    if (before) document.querySelector('.inspect-button')?.focus();
    return;
  }
  $('panes').append(inspector.node);
  drawPanes();
  kindly(() => inspector.inspect(user));
  inspector.title.focus({preventScroll: true});
}

/** Look again at what was decided, once things have calmed down. */
function lookAgain() {
  if (!state.inspecting || refreshing) return;
  refreshing = setTimeout(() => {
    refreshing = 0;
    if (state.inspecting) kindly(() => inspector.inspect(inspector.user));
  }, clock.busy() ? 1500 : 300);
}

room.showDelivery = (user, id) => {
  if (user !== state.me.id) return null;
  const found = [...(timeline?.shown.values() ?? [])].find((each) => each.message.delivery === id);
  return found ? h('button', {type: 'button', class: 'btn quiet-btn small', onclick: () => {
    found.row.scrollIntoView({block: 'center'});
    found.row.focus({preventScroll: true});
  }}, 'Show it') : null;
};

function showMembers(anchor) {
  showMenu(anchor, 'Members', [...state.channel.members].map(person).sort((a, b) => a.name.localeCompare(b.name)).slice(0, 200)
    .map((each) => ({label: each.name, note: each.bot ? 'App' : each.title || roleWords(each.role || 'member'), act: () => profile(anchor, each)})));
}

function profile(anchor, who) {
  showMenu(anchor, who.name, [
    {heading: [who.name, who.bot ? 'App' : who.role ? roleWords(who.role) : who.title, who.bot ? '' : `${town(who.zone)}, ${clockTime(clock.now(), who.zone)} there`].filter(Boolean).join(' · ')},
    ...(who.bot ? [{label: 'Open its messages', act: () => { location.hash = address({channel: dmOf().id, tab: 'messages'}); }},
      {label: `About ${who.name}`, act: () => { location.hash = address({channel: dmOf().id, tab: 'about'}); }}]
      : [{label: 'Inspect', note: `What ${state.app.name} decided, and why`, act: () => inspect(who.id)},
        ...(who.id === state.me.id ? [] : [{label: `Be ${who.name}`, note: 'In this tab', act: () => { location.hash = `#/as/${who.id}`; }}])]),
  ]);
}

// What a person does ---------------------------------------------------------------------------------------------------

async function send(text, threadTs) {
  const {channel, me, app} = state;
  try {
    if (text.startsWith('/') && !threadTs) {
      const [command] = text.split(/\s/, 1);
      const known = app.commands.map((each) => each.command);
      if (!known.includes(command)) {
        return {keep: true, words: `${command} is no command here.${known.length ? ` There is ${known.join(', ')}.` : ''}`};
      }
      const answer = await act('command', {user: me.id, command, text: text.slice(command.length).trim(), channel: channel.id});
      const wrong = silence(answer, app.name);
      return {keep: Boolean(wrong), words: wrong && `${command} failed: ${wrong}`};
    }
    if (text.startsWith('/') && threadTs) return {keep: true, words: 'Commands cannot be used in threads.'};
    const answer = await act('say', {user: me.id, text, channel: isDm(channel) ? '' : channel.id, ...(threadTs ? {thread_ts: threadTs} : {})});
    toEnd();
    const wrong = isDm(channel) ? silence(answer, app.name) : '';
    return {words: wrong && `${wrong} Your message is here, and it will be told again.`};
  } catch (no) {
    if (!(no instanceof Refused)) throw no;
    return {keep: true, words: no.detail};
  } finally {
    lookAgain();
  }
}

/** Press something; `row` is busy until the app has answered, and says so when it does not. */
function press(message, action, row) {
  const wrong = row.querySelector('.press-trouble') ?? row.querySelector('.content').appendChild(h('p', {class: 'trouble press-trouble', role: 'alert'}));
  return pressed(row, wrong, {channel: state.channel.id, message_ts: message.ts}, action);
}

/** A value as the sandbox takes it: of an option that the app gave, its value. */
function flat(value) {
  if (Array.isArray(value)) return value.map(flat);
  return value && typeof value === 'object' && 'value' in value && 'text' in value ? value.value : value ?? null;
}

const flatAll = (values) => Object.fromEntries(Object.entries(values ?? {}).map(([name, value]) => [name, flat(value)]));

/** What was pressed, as the sandbox takes it. */
function chosen({action_id, block_id, value, state: values}) {
  const others = Object.entries(flatAll(values)).filter(([name]) => name !== action_id && name !== block_id);
  return {action_id, block_id, value: flat(value), ...(others.length ? {inputs: Object.fromEntries(others)} : {})};
}

async function pressed(node, wrong, where, action) {
  wrong.textContent = '';
  node.setAttribute('aria-busy', 'true');
  try {
    const answer = await act('press', {
      user: state.me.id, ...where, ...chosen(action),
    });
    const words = silence(answer, state.app.name);
    wrong.textContent = words && `${words} Try again.`;
  } catch (no) {
    if (!(no instanceof Refused)) throw no;
    wrong.textContent = no.detail;
  } finally {
    node.removeAttribute('aria-busy');
    lookAgain();
  }
}

async function react(message, name, remove) {
  await kindly(() => act('react', {user: state.me.id, channel: state.channel.id, message_ts: message.ts, name, remove}));
}

async function shortcut(message, callback) {
  const answer = await kindly(() => act('shortcut', {user: state.me.id, callback_id: callback, channel: state.channel.id, message_ts: message.ts}));
  if (answer) toast(silence(answer, state.app.name));
}

async function globalShortcut(callback) {
  const answer = await kindly(() => act('shortcut', {user: state.me.id, callback_id: callback}));
  if (answer) toast(silence(answer, state.app.name));
}

async function options({action_id, query, ...where}) {
  return post('suggest', {user: state.me.id, action_id, text: query, ...where});
}

async function copy(message) {
  const text = timeline.row(message.ts)?.querySelector('.content').innerText ?? message.text;
  try {
    await navigator.clipboard.writeText(text);
    toast('Copied.');
  } catch {
    toast('The browser does not let this page copy.');
  }
}

// Modals ----------------------------------------------------------------------------------------------------------------

function showModals(views) {
  syncModals(views, (view) => modalHandlers(view.id));
}

function modalHandlers(id) {
  const where = () => ({user: state.me.id, view_id: id});
  return {
    context: {...room.context(), options: (given) => options({...given, view_id: id})},
    async submit(values) {
      try {
        const answer = await act('submit', {...where(), inputs: flatAll(values)});
        lookAgain();
        const words = silence(answer, state.app.name);
        return words ? {ok: false, trouble: `${words} Try again.`} : answer;
      } catch (no) {
        if (!(no instanceof Refused)) throw no;
        return {ok: false, trouble: no.detail};
      }
    },
    async close() {
      try {
        await act('close', where());
      } catch (no) {
        // The app may have closed it first.
        if (!(no instanceof Refused)) throw no;
      }
    },
    async action(action) {
      const answer = await kindly(() => act('press', {...where(), ...chosen(action)}));
      if (answer) toast(silence(answer, state.app.name));
    },
  };
}

// What happens ----------------------------------------------------------------------------------------------------------

async function heard(event) {
  if (event.type === 'message') return heardMessage(event);
  if (event.type === 'clock') return clock.update(event.clock);
  if (event.type === 'modals') return showModals(event.modals);
  if (event.type === 'home') return state.tab === 'home' && drawHome(event.view);
  if (event.type === 'read') {
    const channel = state.conversations.find((each) => each.id === event.channel);
    if (channel && event.ts >= channel.latest && channel.unread) { channel.unread = 0; drawSidebar(); }
    return null;
  }
  if (event.type === 'people') return lookAround();
  if (event.type === 'open') return catchUp();
  if (event.type === 'reset') return readAgain();
  return null;
}

function heardMessage({kind, channel: id, message, parent}) {
  let channel = state.conversations.find((each) => each.id === id);
  if (!channel) {
    kindly(readConversations).then(drawSidebar);
    return;
  }
  const here = state.channel?.id === id && state.tab === 'messages';
  const reply = message.thread_ts && message.thread_ts !== message.ts;
  const mine = message.user === state.me.id;
  if (kind === 'posted') {
    if (!message.ephemeral) channel.latest = message.ts;
    if (!mine && !message.ephemeral) channel.unread += 1;
    else if (mine) channel.unread = 0;
  }
  if (here && timeline) {
    const stick = sticks || mine;
    // Whoever looks on while it comes does not need to be told that it is new.
    if (kind === 'posted' && (mine || (sticks && !document.hidden && !timeline.marked))) timeline.read = message.ts;
    if (kind === 'deleted') timeline.drop(message.ts);
    else if (!reply && (kind === 'posted' || timeline.row(message.ts))) {
      const fresh = timeline.put(message);
      if (fresh && !stick) document.querySelector('.to-end').hidden = false;
    }
    if (parent && state.thread === parent.ts) timeline.looked.set(parent.ts, message.ts);
    if (parent && timeline.row(parent.ts)) timeline.put(parent);
    if (reply && state.thread === message.thread_ts) {
      const scroller = $('thread-scroller');
      const low = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
      if (kind === 'deleted') threadLine.drop(message.ts);
      else threadLine.put(message);
      if (low) scroller.scrollTop = scroller.scrollHeight;
    } else if (state.thread === message.ts && kind !== 'deleted') threadLine.put({...message});
    if (stick && !reply) toEnd();
    showMore(state.more);
    readUp();
  }
  if (kind === 'posted' && !mine && !clock.busy()) announce(`${person(message.user).name}${here ? '' : ` in ${channelName(channel)}`}: ${drawText(message.text, room.context()).textContent.slice(0, 200)}`);
  drawSidebar();
  lookAgain();
}

async function readWorkspace() {
  const found = await look('page/workspace');
  state.people = new Map(found.people.map((each) => [each.id, each]));
  state.app = found.app;
  state.team = found.team.name;
  const bot = state.people.get(found.app.user);
  if (bot) bot.name = found.app.name;
  if (state.me) state.me = state.people.get(state.me.id) ?? state.me;
  clock.update(found.clock);
}

/** Somebody came or changed: look who is there, once things have calmed down. */
function lookAround() {
  if (looking) return;
  looking = setTimeout(() => {
    looking = 0;
    kindly(async () => {
      await readWorkspace();
      if (!state.me) return;
      await readConversations();
      drawSidebar();
    });
  }, clock.busy() ? 2000 : 50);
}

/** After a break: everything that is shown is read again. */
async function readAgain() {
  await kindly(readWorkspace);
  if (!state.me) return;
  await kindly(readConversations);
  drawSidebar();
  if (state.tab === 'messages' && timeline) await readMessages();
  const views = await kindly(() => look('page/views', {user: state.me.id}));
  if (views) {
    showModals(views.modals);
    if (state.tab === 'home') drawHome(views.home);
  }
  if (state.thread && threadLine) {
    const found = await kindly(() => look('page/thread', {user: state.me.id, channel: state.channel.id, ts: state.thread}));
    if (found) threadLine.show(found.messages);
  }
  lookAgain();
}

/** Time has moved: another day has another name, and more was decided. */
function ticked(now) {
  if (timeline && state.me && dayKey(now, zone()) !== state.day) {
    state.day = dayKey(now, zone());
    timeline.arrange();
  }
  lookAgain();
}

// Keys ------------------------------------------------------------------------------------------------------------------

const KEYS = [
  ['i', 'Inspector: what was decided about you, and why'], ['Arrow keys', 'Through messages, conversations and menus'],
  ['Enter or t, on a message', 'Its thread'], ['r, on a message', 'React to it'], ['Tab, on a message', 'What can be done with it'],
  ['c', 'Write'], ['/', 'Commands, where you write'], ['Esc', 'Close what is open'], ['?', 'This'],
];

/** Keys that act wherever one is can be hit by accident, and by whoever dictates: they can be switched off. */
const singleKeys = () => localStorage.getItem('single-keys') !== 'off';
const hint = (key) => (singleKeys() ? ` (${key})` : '');

function showKeys() {
  const before = document.activeElement;
  const single = h('input', {type: 'checkbox', role: 'switch', 'aria-describedby': 'single-keys-told', checked: singleKeys(),
    onchange: () => localStorage.setItem('single-keys', single.checked ? 'on' : 'off')});
  const dialog = h('dialog', {class: 'keys', 'aria-labelledby': 'keys-title'}, h('header', {class: 'pane-head'}, h('h2', {id: 'keys-title'}, 'Keys'),
    iconButton('close', 'Close', () => dialog.close())), h('dl', {class: 'facts'}, KEYS.map(([key, what]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, what)])),
    h('label', {class: 'switch'}, single, h('span', {}, 'i, c and ? act anywhere'),
      h('small', {id: 'single-keys-told'}, 'Switched off they do nothing. This list stays in the menu under your name.')));
  dialog.addEventListener('close', () => { dialog.remove(); before?.focus?.(); });
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (event.key === 'Escape') {
    if (document.body.classList.contains('drawer')) return toggleDrawer(false);
    if (clock.fold()) return;
    const inside = document.activeElement?.closest?.('.pane');
    if (inside?.classList.contains('thread') || (!inside && state.thread)) $('panes').querySelector('.thread .pane-head .icon-button')?.click();
    else if (state.inspecting) inspect(null);
    return;
  }
  if (isTyping(event.target) || !state.me || !singleKeys()) return;
  if (event.key === 'i') { event.preventDefault(); inspect(state.inspecting ? null : state.me.id); }
  if (event.key === 'c' && mainComposer?.form.isConnected) { event.preventDefault(); mainComposer.field.focus(); }
  if (event.key === '?') { event.preventDefault(); showKeys(); }
});

document.addEventListener('click', (event) => {
  if (document.body.classList.contains('drawer') && !event.target.closest('.sidebar, .drawer-button')) toggleDrawer(false);
});
document.addEventListener('visibilitychange', readUp);
// The address bar says whom one is: the link must not go there.
document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); $('main').focus(); });
walkable($('sidebar'), 'a');
dress(localStorage.getItem('theme') ?? 'auto');
addEventListener('hashchange', route);
await kindly(readWorkspace);
if (state.app) await route();
else $('main').replaceChildren(h('p', {class: 'empty'}, 'The sandbox does not answer. Start it, and load this page again.'));
