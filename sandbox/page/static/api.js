// What the page asks the sandbox.

/** The sandbox said no; `detail` is for a person. */
export class Refused extends Error {
  constructor(status, answer) {
    super(answer?.detail || 'the sandbox did not answer');
    this.status = status;
    this.error = answer?.error ?? 'away';
    this.detail = this.message;
  }
}

async function ask(verb, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: verb,
      headers: body === undefined ? {} : {'content-type': 'application/json'},
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, {error: 'away', detail: 'The sandbox cannot be reached. Is it still running?'});
  }
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    // Whatever was no JSON is told below by its status.
  }
  if (!response.ok || !answer?.ok) throw new Refused(response.status, answer);
  return answer;
}

/** GET, with a query. */
export function look(path, query = {}) {
  const text = new URLSearchParams(query).toString();
  return ask('GET', `/sandbox/${path}${text ? `?${text}` : ''}`);
}

/** POST what a person does; `settle` lets a bot on a steered clock answer at once. */
export function act(path, body) {
  return ask('POST', `/sandbox/${path}`, {settle: true, ...body});
}

/** POST or DELETE something that is no act of a person. */
export const post = (path, body) => ask('POST', `/sandbox/${path}`, body);
export const remove = (path) => ask('DELETE', `/sandbox/${path}`);

/**
 * Follow what happens. `heard(event)` for each; `heard({type: 'open'})` when it begins, after a break `heard({type: 'reset'})`.
 * `line(state)`: live, lost.
 */
export function follow(user, heard, line) {
  let source = null;
  let timer = 0;
  let broken = false;
  let ended = false;
  const open = () => {
    source = new EventSource(`/sandbox/page/stream?${new URLSearchParams({user})}`);
    source.onopen = () => {
      line('live');
      heard({type: broken ? 'reset' : 'open'});
      broken = false;
    };
    source.onmessage = (message) => heard(JSON.parse(message.data));
    source.onerror = () => {
      if (ended) return;
      broken = true;
      line('lost');
      if (source.readyState === EventSource.CLOSED) {
        clearTimeout(timer);
        timer = setTimeout(open, 2000);
      }
    };
  };
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    source.close();
  };
}

/** Why the app did not take something, for a person; '' when it did. */
export function silence(answer, app) {
  if (answer.acked) return '';
  if (answer.reason === 'http_timeout') return `${app} didn't respond within 3 seconds.`;
  if (answer.reason === 'connection_failed') return `${app} isn't running, or can't be reached.`;
  if (answer.status) return `${app} answered with an error (${answer.status}).`;
  return `${app} didn't respond.`;
}
