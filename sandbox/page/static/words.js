// What the app decided, in words. A code that is not here is shown as it is, without its dashes.

export const plain = (code) => String(code ?? '').replace(/[-_]/g, ' ');
export const capital = (text) => text.charAt(0).toLocaleUpperCase() + text.slice(1);

const REASONS = {
  'another-tip-first': 'another tip came first',
  'at-target': 'already does this well enough',
  away: 'is away',
  'back-off': 'several notes went unanswered, so it keeps quiet for a while',
  'barrier-open': 'said that something stands in the way; until that is mended it asks nothing',
  'better-day': 'another day is likely to suit better',
  'cap-zero': 'chose to get no notes',
  'coin-window': 'a coin was thrown for this already in these days',
  cooldown: 'had a tip on this a few days before',
  dnd: 'does not want to be disturbed right now',
  expired: 'it was out of date before it could be sent',
  'first-tip-on-own-records': 'the first tip must be about their own records',
  'hold-out': 'a coin said: nothing this time, so that what tips change can be measured',
  'ignored-pause': 'the last notes were not answered, so there is a pause',
  'kind-off': 'switched this kind off',
  left: 'the CRM no longer lists them',
  'missing-field': 'a detail that the tip needs was not there',
  'no-data': 'the CRM could not be read well enough; no data is never "no use"',
  'no-evidence': 'the records behind it could not be read',
  'no-window': 'their days and times left no moment to write',
  'not-asked-of-role': 'it is not part of their role',
  'not-for-me': 'said that this is not for them',
  'not-in-pilot': 'their team does not take part yet',
  'not-matched': 'the addresses in the CRM and in the chat do not match',
  'not-true-any-more': 'it was no longer true when it was about to be sent',
  'not-welcomed': 'has not been welcomed yet',
  'not-your-goal': 'it does not serve the goal that they chose',
  'nothing-timely': 'there was nothing to say that would help now',
  'outside-window': 'it was outside their working hours',
  paused: 'has paused the app',
  'place-kept-for-tips': 'one place of the week is kept for a tip',
  'recent-load': 'got enough in the last days',
  'rests-after-not-for-me': 'said "not for me" to this, so it rests',
  'same-text': 'had the same words not long before',
  spacing: 'too soon after the last one',
  stopped: 'has stopped the app',
  'weekly-cap': 'the places of this week are taken',
  'welcome-on-its-way': 'the welcome is on its way',
  'zone-unknown': 'their time zone is not known',
};

const DOUBTS = {
  ok: 'read', partial: 'read in part', denied: 'not allowed to read', unsupported: 'not recorded in this CRM',
  throttled: 'the CRM asked to slow down', error: 'reading failed',
};

/** Why nothing was sent. What stands behind a colon is a detail of the reason. */
export function reasonWords(reason) {
  const [code, ...rest] = String(reason ?? '').split(':');
  const words = REASONS[code] ?? plain(code);
  const details = rest.map((each) => DOUBTS[each] ?? plain(each)).join(', ');
  return rest.length ? `${words} (${details})` : words;
}

const ABOUT = {
  past_close_date: 'close dates in the past', no_next_step: 'no next step', missing_amount: 'no amount', missing_account: 'no account',
  no_activity: 'gone quiet', stuck_step: 'stuck in a step', open_long: 'open for long', first_weeks: 'first weeks',
};
const FOR = {performance: 'to hit targets', productivity: 'to save time', personal: 'to grow skills', seller: 'as a seller', manager: 'as a manager', sales_development: 'in sales development'};

const ANSWERS = {
  ask_mode: 'who may see what they said', noted: 'noted', help: 'what one can say', thanks: 'thanks', privacy: 'who sees what',
  ask_goal: 'what would help them', why: 'why this', desk: 'what people said',
};

/** What a tip is about and what it promises, from its name: `no_next_step_seller_performance`. */
export function tipWords(name) {
  let about = String(name ?? '');
  const ends = [];
  for (let found = true; found;) {
    found = Object.keys(FOR).find((end) => about.endsWith(`_${end}`));
    if (found) {
      ends.unshift(FOR[found]);
      about = about.slice(0, -found.length - 1);
    }
  }
  return [capital(ABOUT[about] ?? ANSWERS[about] ?? plain(about)), ...ends].join(' · ');
}

const STATES = {
  ready: 'waits to be sent', claimed: 'is being sent', sent: 'sent', held: 'held back', dropped: 'not sent', dead: 'could not be sent',
  uncertain: 'perhaps sent; being looked up', withdrawn: 'taken back before it was sent', skipped: 'not sent',
};
export const stateWords = (state) => STATES[state] ?? plain(state);

const KINDS = {
  tip: 'Tip', welcome: 'Welcome', answer: 'Answer', reminder: 'Reminder', back_off: 'Back-off question', pulse: 'Pulse',
  check_in: 'Check-in', recognition: 'Recognition', digest: 'Digest', none: 'Nothing',
};
export const kindWords = (kind) => KINDS[kind] ?? capital(plain(kind));

const POINTS = {slot: 'at their daily moment', goal_chosen: 'right after they chose a goal'};
export const pointWords = (point) => POINTS[point] ?? `after: ${plain(point)}`;

const GOALS = {performance: 'hit targets', productivity: 'save time', personal: 'grow skills', none: 'none chosen'};
export const goalWords = (goal) => (goal ? GOALS[goal] ?? plain(goal) : 'none chosen yet');

const many = (count, one, more) => (count === 1 ? `1 ${one}` : `${count} ${more}`);
const FACTS = {
  total_days: (v) => `${many(v.days, 'day', 'days')} with work in the CRM so far`,
  week_number: (v) => `week ${v.week} with the CRM`,
  access_unknown: () => 'it is not known since when they have had the CRM',
  not_live: () => 'the CRM is not live yet',
  meaningful_days: (v) => (v.days ? `work in the CRM on ${v.days} of the last ${v.of} working days` : `no work in the CRM in the last ${v.of} working days`),
  active_weeks: (v) => `work in the CRM in ${v.weeks} of the last ${v.of} weeks`,
  habits: (v) => `${v.done} of the ${v.of} usual habits`,
  habits_unseen: (v) => `only ${v.seen} of the usual habits can be seen, too little to judge by`,
  outcome_yield: (v) => `${v.percent} % of the results that such active days usually bring`,
  opinion: () => 'their own answers about the CRM',
};
export function factWords([key, values]) {
  if (Object.hasOwn(FACTS, key)) return FACTS[key](values ?? {});
  const numbers = Object.entries(values ?? {}).map(([name, value]) => `${plain(name)} ${value}`).join(', ');
  return numbers ? `${plain(key)}: ${numbers}` : plain(key);
}

export const stageWords = (stage) => ({
  honeymoon: 'Honeymoon', living_together: 'Living Together', building_momentum: 'Building Momentum', full_steam_ahead: 'Full Steam Ahead',
}[stage] ?? capital(plain(stage)));

const REACTIONS = {
  'tip:do': 'opened the CRM', reply: 'answered in words', 'goal:performance': 'want to hit targets', 'goal:productivity': 'want to save time',
  'goal:personal': 'want to grow skills', 'goal:later': 'will choose a goal later', 'tip:remind': 'asked to be reminded', 'tip:blocked': 'said that something is in the way',
  'tip:never': 'said "not for me"', 'tip:why': 'asked why', 'tip:pause': 'paused', 'tip:more': 'opened the menu',
};
export const reactionWords = (reaction) => REACTIONS[reaction] ?? plain(String(reaction).replace(/^[a-z]+:/, ''));

const ROLES = {
  sponsor: 'Sponsor', adoption_lead: 'Adoption lead', privacy_officer: 'Privacy officer', manager: 'Manager', rep: 'Sales rep',
  owner: 'Owner of barriers', crm_admin: 'CRM admin', member: 'Member', seller: 'Seller',
};
/** The name of a role however it is written: "adoption lead", "adoption_lead". */
export const roleKey = (role) => String(role ?? '').toLowerCase().replace(/[\s-]+/g, '_');
export const roleWords = (role) => ROLES[roleKey(role)] ?? capital(plain(role));
