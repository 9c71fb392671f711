// The workspace's time: what it is, and how to move it.

import {Refused, post, remove} from './api.js';
import {h, icon, iconButton} from './dom.js';
import {clockTime, fullTime, tomorrowAt, town} from './times.js';

const DAY = 86_400_000;

/** The panel. `zone()`: of whom one is. `tick(now)`: time has moved. */
export function clockPanel({zone, tick}) {
  let state = null;
  let real = 0;
  const local = h('strong', {class: 'clock-local'});
  const utc = h('span', {class: 'quiet'});
  const told = h('p', {class: 'clock-told', id: 'clock-told', role: 'status'});
  const bar = h('progress', {max: '100', value: '0', 'aria-label': 'Days done', hidden: true});
  const set = async (asked) => {
    try {
      update((await asked()).clock);
    } catch (no) {
      if (!(no instanceof Refused)) throw no;
      told.textContent = no.detail;
    }
  };
  const go = (body) => set(() => post('page/journey', body));
  const button = (label, act, mark = null) => h('button', {type: 'button', class: 'btn small', 'aria-describedby': 'clock-told', onclick: act}, mark ? icon(mark) : null, label);
  const moves = [
    button('+1 hour', () => go({advance: 3600})),
    button('Tomorrow 09:00', () => go({to: tomorrowAt(new Date(state.now), 9, zone()).toISOString()})),
    button('+1 week', () => go({advance: 7 * 86400})),
    button('Run', () => go({run: true}), 'play'),
  ];
  moves[1].title = 'To nine in the morning of the next day, where you are';
  moves[3].title = 'An hour a second, until you pause it';
  const stop = button('Pause', () => set(() => remove('page/journey')), 'stop');
  // On a narrow screen the time is one line, and what moves it is folded behind a button.
  const unfold = (on) => {
    node.classList.toggle('open', on);
    opener.setAttribute('aria-expanded', String(on));
  };
  const opener = iconButton('chevron', 'Move time', () => unfold(!node.classList.contains('open')), {class: 'icon-button clock-opener', 'aria-expanded': 'false', 'aria-controls': 'clock-moves'});
  const node = h('div', {class: 'clock'},
    h('div', {class: 'clock-now', 'data-testid': 'clock'}, icon('clock'), local, utc),
    opener,
    h('div', {id: 'clock-moves', class: 'clock-moves', role: 'group', 'aria-label': 'Move time'}, ...moves, stop),
    h('div', {class: 'clock-road'}, bar, told));

  const now = () => (state?.steered ? new Date(state.now) : new Date());
  const draw = () => {
    const when = now();
    local.textContent = fullTime(when, zone());
    utc.textContent = zone() === 'UTC' ? 'UTC' : `${town(zone())} · ${clockTime(when, 'UTC')} UTC`;
  };
  const update = (next) => {
    const before = state;
    state = next;
    const journey = state.journey;
    const busy = Boolean(journey) || state.driven;
    const held = document.activeElement;
    for (const each of moves) each.disabled = busy || !state.steered;
    stop.hidden = !journey;
    moves[3].hidden = Boolean(journey);
    stop.disabled = Boolean(journey?.stopping);
    if (held === moves[3] && journey) stop.focus();
    if (held === stop && !journey) moves[3].focus();
    bar.hidden = !journey?.to;
    if (journey?.to) {
      const [from, at, to] = [journey.from, state.now, journey.to].map((each) => new Date(each).getTime());
      bar.value = to > from ? (100 * (at - from)) / (to - from) : 100;
      const days = Math.round((to - from) / DAY);
      told.textContent = state.waiting ? 'Waiting for the app: it does not answer. Time stands still for it.'
        : journey.stopping ? 'Pausing…'
          : days > 1 ? `${Math.floor((at - from) / DAY)} of ${days} days` : 'On the way…';
    } else if (journey) told.textContent = state.waiting ? 'Waiting for the app: it does not answer.' : journey.stopping ? 'Pausing…' : 'An hour a second';
    else if (!state.steered) told.textContent = 'Real time: it passes by itself. Start the sandbox with a steered clock to move it.';
    else if (state.driven) told.textContent = 'Time is being moved from outside.';
    else told.textContent = state.trouble || '';
    draw();
    if (before && before.now !== state.now) tick(now());
  };
  setInterval(() => {
    if (state?.steered) return;
    const minute = Math.floor(Date.now() / 60_000);
    if (minute !== real) { real = minute; draw(); }
  }, 1000);
  /** Fold the buttons away; returns whether they were out. */
  const fold = () => {
    if (!node.classList.contains('open')) return false;
    const held = node.contains(document.activeElement);
    unfold(false);
    if (held) opener.focus();
    return true;
  };
  return {node, update, draw, now, fold, busy: () => Boolean(state?.journey)};
}
