// What the app decided about somebody, and why: from the app itself, in words.

import {Refused, look} from './api.js';
import {avatar, h, icon, iconButton} from './dom.js';
import {dateTime, shortDay} from './times.js';
import {capital, factWords, goalWords, kindWords, plain, pointWords, reactionWords, reasonWords, roleWords, stageWords, stateWords, tipWords} from './words.js';

const SENT = new Set(['sent']);

function chances(probabilities) {
  const all = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  if (!all.length) return null;
  return h('table', {class: 'chances'}, h('caption', {}, 'How likely each was'),
    h('tbody', {}, all.map(([name, share]) => {
      const percent = Math.round(share * 100);
      const bar = h('span', {class: 'chance-bar', 'aria-hidden': 'true'}, h('span', {}));
      bar.firstChild.style.width = `${percent}%`;
      return h('tr', {}, h('th', {scope: 'row'}, name === 'none' ? 'Nothing, to measure by' : tipWords(name)), h('td', {}, bar, `${percent} %`));
    })));
}

/** What else was looked at, together where the reason is the same. */
function declined(all) {
  const reasons = new Map();
  for (const one of all) {
    const why = one.reason ?? one.why ?? '';
    const what = tipWords(one.action ?? one.trigger ?? one.kind ?? 'something else');
    reasons.set(why, [...(reasons.get(why) ?? []), what]);
  }
  return h('ul', {}, [...reasons].map(([why, what]) => h('li', {}, h('strong', {}, capital(reasonWords(why))), `: ${[...new Set(what)].join('; ')}`)));
}

/** A day, or an instant: a day alone belongs to no zone. */
const dayOf = (text, zone) => (text.length === 10 ? shortDay(new Date(text), 'UTC') : shortDay(new Date(text), zone));

/** The pane. `room`: people, person(id), zone, me. `shut()`: the reader is done with it. */
export class Inspector {
  constructor(room, shut) {
    this.room = room;
    this.user = '';
    this.asked = 0;
    this.open = new Set();
    this.title = h('h2', {id: 'inspector-title', tabindex: '-1'}, 'Inspector');
    this.field = h('input', {type: 'search', list: 'inspect-people', 'aria-label': 'Inspect another person', placeholder: 'Another person…', autocomplete: 'off'});
    this.field.addEventListener('change', () => {
      const wanted = this.field.value.trim();
      const found = this.room.people().find((each) => each.name === wanted || each.id === wanted);
      this.field.value = '';
      if (found) this.inspect(found.id);
    });
    this.body = h('div', {class: 'inspector-body'});
    this.node = h('section', {class: 'pane inspector', 'aria-labelledby': 'inspector-title', 'data-testid': 'inspector'},
      h('header', {class: 'pane-head'}, this.title, iconButton('close', 'Close the inspector', shut)),
      h('div', {class: 'inspector-choice'}, icon('search'), this.field, h('datalist', {id: 'inspect-people'})),
      h('p', {class: 'quiet inspector-only'}, 'Only in this sandbox: in the product nobody can look into decisions about somebody else.'),
      this.body);
  }

  /** Look at somebody. */
  async inspect(user) {
    if (user !== this.user) {
      this.user = user;
      this.open.clear();
      this.body.replaceChildren(h('p', {class: 'quiet empty'}, 'Looking…'));
    }
    this.node.querySelector('datalist').replaceChildren(...this.room.people().filter((each) => !each.bot).map((each) => h('option', {value: each.name}, each.title)));
    const asked = ++this.asked;
    let answer;
    try {
      answer = await look('inspect', {user});
    } catch (no) {
      if (!(no instanceof Refused)) throw no;
      answer = {state: 'refused', detail: no.detail};
    }
    if (asked === this.asked) this.#draw(answer);
  }

  #draw(answer) {
    const person = this.room.person(this.user);
    const app = this.room.app.name;
    this.title.textContent = `What ${app} decided about ${person.name}`;
    const scrolled = this.body.scrollTop;
    const head = h('div', {class: 'inspected'}, avatar(person), h('div', {}, h('strong', {dir: 'auto'}, person.name),
      h('small', {class: 'quiet'}, [person.role ? roleWords(person.role) : person.title, person.team ? `Team ${person.team}` : ''].filter(Boolean).join(' · '))));
    const nothing = {
      away: `${app} isn't running, or can't be reached.`,
      closed: `${app} doesn't open its books here: it shows its decisions only when it runs on the sandbox's clock.`,
      unknown: `${app} doesn't know ${person.name}: nobody by this address in the CRM that it reads.`,
      refused: answer.detail,
    }[answer.state];
    if (nothing) this.body.replaceChildren(head, h('p', {class: 'empty'}, nothing));
    else {
      const known = answer.inspection;
      this.body.replaceChildren(head, this.#now(known), this.#decisions(known.decisions ?? []), this.#messages(known.messages ?? []), this.#feedback(known.feedback ?? []),
        h('p', {class: 'quiet'}, `As of ${dateTime(new Date(known.at), this.room.zone)}. The words of a person are never shown here.`));
    }
    this.body.scrollTop = scrolled;
  }

  #now(known) {
    const {zone} = this.room;
    const stage = known.stage;
    const row = (term, ...value) => [h('dt', {}, term), h('dd', {}, ...value)];
    return h('section', {'aria-label': 'Where they are'}, h('dl', {class: 'facts'},
      row('Stage', stage ? h('strong', {}, stageWords(stage.stage)) : 'not judged yet', stage ? ` since ${dayOf(stage.since, zone)}` : null,
        stage?.facts?.length ? h('ul', {}, stage.facts.map((fact) => h('li', {}, factWords(fact)))) : null),
      row('Goal', capital(goalWords(known.goal))),
      row('Notes', known.stopped ? 'Stopped by them' : known.paused_until ? `Paused until ${dateTime(new Date(known.paused_until), zone)}` : 'Welcome'),
      known.frozen?.length ? row('Not asked for now', known.frozen.map(plain).join(', '), h('small', {class: 'quiet'}, ' (something stands in the way)')) : []));
  }

  #decisions(all) {
    const {zone} = this.room;
    const list = h('ol', {class: 'decisions'});
    for (const each of all) {
      const sent = each.action !== 'none' && !each.reason;
      const nothing = each.action === 'none' || each.held_out;
      const entry = h('details', {'data-id': each.id},
        h('summary', {},
          h('span', {class: `mark ${nothing || each.reason ? 'held' : 'sent'}`}, nothing || each.reason ? 'Nothing sent' : 'Decided to send'),
          h('span', {class: 'what'}, nothing || each.reason ? capital(reasonWords(each.reason || (each.held_out ? 'hold-out' : 'nothing-timely'))) : each.kind === each.action ? kindWords(each.kind) : `${kindWords(each.kind)}: ${tipWords(each.action)}`),
          h('small', {class: 'quiet'}, `${dateTime(new Date(each.at), zone)}, ${pointWords(each.point)}`)),
        h('div', {class: 'decision'},
          each.held_out ? h('p', {}, 'Held out: a coin decided that nothing is sent this time, so that what the tips change can be measured.') : null,
          each.draw !== null && each.draw !== undefined ? h('p', {class: 'quiet'}, `The coin: ${Number(each.draw).toFixed(3)} of 1. It is drawn from a secret and this decision, so it can be drawn again.`) : h('p', {class: 'quiet'}, 'No coin was needed.'),
          chances(each.probabilities ?? {}),
          each.declined?.length ? [h('h4', {}, 'What else was looked at, and why not'), declined(each.declined)] : sent ? null : h('p', {class: 'quiet'}, 'Nothing else was looked at.')));
      entry.open = this.open.has(each.id);
      entry.addEventListener('toggle', () => (entry.open ? this.open.add(each.id) : this.open.delete(each.id)));
      list.append(h('li', {}, entry));
    }
    return h('section', {'aria-labelledby': 'decisions-title'}, h('h3', {id: 'decisions-title'}, 'Decisions'),
      all.length ? list : h('p', {class: 'quiet'}, 'None yet. There is one for each of their working days.'));
  }

  #messages(all) {
    const {zone} = this.room;
    return h('section', {'aria-labelledby': 'messages-title'}, h('h3', {id: 'messages-title'}, 'Messages'),
      all.length ? h('ul', {class: 'sent-list'}, all.map((each) => h('li', {},
        h('span', {class: `mark ${SENT.has(each.state) ? 'sent' : 'held'}`}, capital(stateWords(each.state))),
        h('span', {class: 'what'}, each.kind === each.template ? kindWords(each.kind) : `${kindWords(each.kind)}: ${tipWords(each.template)}`),
        h('small', {class: 'quiet'}, [dateTime(new Date(each.due_at), zone), each.reason ? reasonWords(each.reason) : '', each.reaction ? `they ${reactionWords(each.reaction)}` : ''].filter(Boolean).join(' · ')),
        this.room.showDelivery ? this.room.showDelivery(this.user, each.id) : null))) : h('p', {class: 'quiet'}, 'None yet.'));
  }

  #feedback(all) {
    return h('section', {'aria-labelledby': 'feedback-title'}, h('h3', {id: 'feedback-title'}, 'What they said'),
      all.length ? h('ul', {class: 'sent-list'}, all.map((each) => h('li', {},
        h('span', {class: 'mark'}, each.mode ? capital(plain(each.mode)) : 'Not passed on yet'),
        h('span', {class: 'what'}, `${capital(plain(each.kind))}${each.behaviour ? ` on ${plain(each.behaviour)}` : ''}`),
        h('small', {class: 'quiet'}, capital(plain(each.state)))))) : h('p', {class: 'quiet'}, 'Nothing yet.'));
  }
}
