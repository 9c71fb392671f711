// Times, in somebody's own zone.

const made = new Map();

function format(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new Intl.DateTimeFormat('en-GB', {timeZone: zone, ...options}));
  return made.get(key);
}

export const atTs = (ts) => new Date(Number(ts) * 1000);
export const clockTime = (when, zone) => format(zone, {hour: '2-digit', minute: '2-digit'}).format(when);
export const dayKey = (when, zone) => format(zone, {year: 'numeric', month: '2-digit', day: '2-digit'}).format(when);
const longDay = (when, zone) =>
  format(zone, {weekday: 'long', day: 'numeric', month: 'long', year: 'numeric'}).format(when);
export const shortDay = (when, zone) => format(zone, {weekday: 'short', day: 'numeric', month: 'short'}).format(when);
export const fullTime = (when, zone) =>
  format(zone, {weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit'})
    .format(when);
export const dateTime = (when, zone) => `${shortDay(when, zone)}, ${clockTime(when, zone)}`;

/** "Today", "Yesterday" or the day, seen from `now`. */
export function dayName(when, now, zone) {
  const day = dayKey(when, zone);
  if (day === dayKey(now, zone)) return 'Today';
  if (day === dayKey(new Date(now.getTime() - 86_400_000), zone)) return 'Yesterday';
  return longDay(when, zone);
}

/** How far a zone is from UTC at an instant, in minutes. */
function offset(when, zone) {
  const parts = Object.fromEntries(
    format(zone, {year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23'})
      .formatToParts(when).map((part) => [part.type, part.value]));
  const local = Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
  return Math.round((local - Math.floor(when.getTime() / 1000) * 1000) / 60_000);
}

/** Whether it is between nine and five from Monday to Friday there. */
export function atWork(when, zone) {
  const local = new Date(when.getTime() + offset(when, zone) * 60_000);
  return local.getUTCDay() % 6 !== 0 && local.getUTCHours() >= 9 && local.getUTCHours() < 17;
}

/** The instant at which it is `hour` o'clock on the day after `now`, in a zone. */
export function tomorrowAt(now, hour, zone) {
  const local = new Date(now.getTime() + offset(now, zone) * 60_000);
  const wall = Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate() + 1, hour);
  const guess = new Date(wall - offset(now, zone) * 60_000);
  return new Date(wall - offset(guess, zone) * 60_000);
}

/** A zone as people say it: the town. */
export const town = (zone) => zone.split('/').pop().replaceAll('_', ' ');
