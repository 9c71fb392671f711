// Whom to be: everybody in the workspace, those with a role first.

import {avatar, h, walkable} from './dom.js';
import {drawPlain} from './mrkdwn.js';
import {atWork, clockTime, town} from './times.js';
import {roleKey, roleWords} from './words.js';

const FEATURED = ['rep', 'manager', 'sponsor', 'adoption_lead', 'privacy_officer'];
const ABOUT = {
  rep: 'Gets tips on their own deals, answers, says what is in the way.',
  manager: 'Leads a team. Learns nothing from the app about any one person in it.',
  sponsor: 'Started all this, and wants to see it help.',
  adoption_lead: 'Reads what people say and gets it mended.',
  privacy_officer: 'Checks who can see what.',
};

function facts(person, now) {
  const local = `${town(person.zone)}, ${clockTime(now, person.zone)} there`;
  const messages = person.messages === 1 ? '1 message' : person.messages ? `${person.messages} messages` : '';
  return [person.role ? roleWords(person.role) : person.title, person.team ? `Team ${person.team}` : '', local, messages].filter(Boolean).join(' · ');
}

const english = (person) => /^en\b/i.test(person.locale || 'en');

/** The one of whom the most is true, in the order in which it is asked; of equals the one to whom more has been said. */
function first(people, ...truths) {
  const marks = (each) => [...truths.map((truth) => Number(truth(each))), each.messages];
  return people.reduce((best, each) => {
    if (!best) return each;
    const [mine, theirs] = [marks(each), marks(best)];
    const differs = mine.findIndex((mark, at) => mark !== theirs[at]);
    return differs >= 0 && mine[differs] > theirs[differs] ? each : best;
  }, null);
}

/** One of each role: a rep with a tip to answer, the manager nearest to them, and whoever has most to see. */
function startWith(here, now) {
  const of = (role) => here.filter((each) => roleKey(each.role) === role);
  const works = (each) => !each.status && atWork(now, each.zone);
  const rep = first(of('rep'), (each) => Boolean(each.waiting), english, works, (each) => Number(each.waiting));
  const near = [(each) => each.name === rep?.team, (each) => each.zone === rep?.zone, english];
  return FEATURED.map((role) => (role === 'rep' ? rep : role === 'manager' ? first(of(role), ...near) : first(of(role)))).filter(Boolean);
}

/** The page on which one chooses. `open`: id of whom one is now, if anybody. */
export function drawChooser({people, now, team, open}) {
  const there = people.filter((each) => !each.bot);
  const here = there.filter((each) => !each.gone).sort((a, b) => a.name.localeCompare(b.name));
  const featured = startWith(here, now);
  const field = h('input', {type: 'search', id: 'find', placeholder: 'Name, role, team or town', autocomplete: 'off', 'aria-describedby': 'found'});
  const found = h('p', {id: 'found', class: 'quiet', role: 'status'});
  const list = h('ul', {class: 'people', 'aria-label': 'People'});
  const draw = () => {
    const wanted = field.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const fitting = here.filter((each) => {
      const text = `${each.name} ${each.handle} ${each.title} ${roleWords(each.role)} ${each.team} ${each.zone.replaceAll('_', ' ')}`.toLocaleLowerCase();
      return wanted.every((word) => text.includes(word));
    });
    found.textContent = wanted.length ? `${fitting.length} of ${here.length} people` : `${here.length} people`;
    list.replaceChildren(...fitting.map((each) => h('li', {}, h('a', {
      href: `#/as/${each.id}`, class: 'person', 'aria-current': each.id === open ? 'true' : null,
    }, avatar(each), h('span', {class: 'who'}, h('strong', {dir: 'auto'}, each.name), h('small', {}, facts(each, now)),
      each.status ? h('small', {}, drawPlain(each.status)) : null),
    each.id === open ? h('span', {class: 'tag'}, 'You now') : null))));
    if (!fitting.length) list.append(h('li', {class: 'quiet empty'}, 'Nobody fits these words.'));
  };
  field.addEventListener('input', draw);
  draw();
  walkable(list, 'a');
  const page = h('div', {class: 'chooser'},
    h('h1', {}, 'Who would you like to be?'),
    h('p', {class: 'lead'}, `Everybody in the workspace “${team}” is made up, and so is what they work on. Be one of them here and another in a second tab.`),
    featured.length ? h('section', {'aria-labelledby': 'start-here'},
      h('h2', {id: 'start-here'}, 'Start here'),
      h('p', {class: 'quiet try'}, 'What to try first: be the rep, press a button of the newest tip, answer in your own words, then move the clock on. Then see what the others see.'),
      h('ul', {class: 'featured'}, featured.map((each) => h('li', {}, h('a', {href: `#/as/${each.id}`, class: 'card-person'},
        avatar(each), h('span', {class: 'role'}, roleWords(each.role)), h('strong', {dir: 'auto'}, each.name), h('small', {}, ABOUT[roleKey(each.role)])))))) : null,
    h('section', {'aria-labelledby': 'everybody'},
      h('h2', {id: 'everybody'}, 'Everybody'),
      h('label', {for: 'find', class: 'hidden'}, 'Find a person'), field, found, list));
  return page;
}
