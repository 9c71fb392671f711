// Slack's own client and framework for Node, against the sandbox. Speaks to SANDBOX_URL, hears on BOT_PORT.
// Prints one JSON object: what it saw, by step. Exits with 1, and the error, at the first step that fails.

import bolt from '@slack/bolt';
import { LogLevel, WebClient } from '@slack/web-api';

const { SANDBOX_URL, BOT_PORT, BOT_TOKEN, APP_TOKEN, SIGNING_SECRET } = process.env;
const clientOptions = { slackApiUrl: `${SANDBOX_URL}/api/` };
const modal = {
  type: 'modal',
  callback_id: 'ask',
  title: { type: 'plain_text', text: 'Tell us' },
  submit: { type: 'plain_text', text: 'Send' },
  blocks: [
    {
      type: 'input',
      block_id: 'words',
      label: { type: 'plain_text', text: 'In your words' },
      element: { type: 'plain_text_input', action_id: 'text' },
    },
  ],
};
const row = (...names) => [
  {
    type: 'actions',
    elements: names.map((name) => ({
      type: 'button',
      action_id: name,
      text: { type: 'plain_text', text: name },
    })),
  },
];

/** What a person does, or how the sandbox is set: POST /sandbox/<path>. */
async function act(path, body) {
  const answer = await fetch(`${SANDBOX_URL}/sandbox/${path}`, { method: 'POST', body: JSON.stringify(body) });
  return answer.json();
}

async function until(what, look) {
  for (let tries = 0; tries < 400; tries += 1) {
    const found = await look();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`waited in vain for ${what}`);
}

async function calls() {
  const client = new WebClient(BOT_TOKEN, { ...clientOptions, logLevel: LogLevel.ERROR });
  const seen = {};
  seen.me = (await client.auth.test()).user_id;
  seen.dm = (await client.conversations.open({ users: 'U1' })).channel.id;
  const post = await client.chat.postMessage({ channel: seen.dm, text: 'Hi', blocks: row('go', 'done') });
  seen.ts = post.ts;

  seen.users = [];
  for await (const page of client.paginate('users.list', { limit: 2 })) {
    seen.users.push(page.members.map((each) => each.id));
  }

  // Its own way with a 429: it waits as long as Retry-After says, and calls again.
  await act('faults', { kind: 'ratelimited', where: 'chat.postMessage', count: 1, seconds: 1 });
  const limited = [];
  client.on('rate_limited', (seconds) => limited.push(seconds));
  const before = Date.now();
  seen.afterLimit = (await client.chat.postMessage({ channel: seen.dm, text: 'Later' })).ok;
  seen.waited = Date.now() - before;
  seen.limited = limited;

  seen.error = await client.chat.postMessage({ channel: 'C404', text: 'x' }).catch((error) => error.data.error);
  const upload = await client.filesUploadV2({
    channel_id: seen.dm,
    filename: 'week.txt',
    content: 'three deals',
    title: 'The week',
  });
  seen.file = upload.files[0].files[0].title;
  return { client, seen };
}

function listen(app, heard) {
  app.event('message', async ({ event }) => heard.push(`message ${event.text}`));
  app.action('go', async ({ ack, body, client }) => {
    await client.views.open({ trigger_id: body.trigger_id, view: modal });
    await ack();
    heard.push('action go');
  });
  app.action('done', async ({ ack, respond }) => {
    await ack();
    await respond({ text: 'All done', replace_original: true });
    heard.push('action done');
  });
  app.view('ask', async ({ ack, view }) => {
    heard.push(`view ${view.state.values.words.text.value}`);
    await ack({ response_action: 'errors', errors: { words: 'Say more' } });
  });
  app.command('/fullsteam', async ({ ack, command }) => {
    heard.push(`command ${command.text}`);
    await ack('Here is help');
  });
  app.shortcut('keep', async ({ ack }) => {
    await ack();
    heard.push('shortcut');
  });
  app.options('who', async ({ ack, payload }) => {
    heard.push(`options ${payload.value}`);
    await ack({ options: [{ text: { type: 'plain_text', text: 'Ada' }, value: 'ada' }] });
  });
}

/** Everything that a person can do, once; what the app heard, and what Slack made of its answers. */
async function everything(client, dm, heard) {
  const menu = { type: 'external_select', action_id: 'who', min_query_length: 1 };
  const post = await client.chat.postMessage({ channel: dm, text: 'Hi', blocks: row('go', 'done') });
  const asked = await client.chat.postMessage({
    channel: dm,
    text: 'Whom?',
    blocks: [{ type: 'actions', elements: [menu] }],
  });
  const place = { user: 'U1', message_ts: post.ts };
  const answers = [
    await act('say', { user: 'U1', text: 'hello' }),
    await act('press', { ...place, action_id: 'go' }),
    await act('submit', { user: 'U1', inputs: { text: 'slow' } }),
    await act('command', { user: 'U1', command: '/fullsteam', text: 'help' }),
    await act('shortcut', { user: 'U1', callback_id: 'keep' }),
    await act('press', { ...place, action_id: 'done', wait: 5 }),
  ];
  const options = await act('suggest', { user: 'U1', message_ts: asked.ts, action_id: 'who', text: 'a' });
  await until('everything to be heard', () => heard.length >= 7);
  return {
    acked: answers.map((each) => each.acked),
    errors: JSON.parse(answers[2].body).errors,
    help: answers[3].follow_ups.map((each) => each.text),
    done: answers[5].follow_ups.map((each) => each.text),
    options: options.options.map((each) => each.value),
    heard: heard.splice(0),
  };
}

async function overHttp(client, dm) {
  const app = new bolt.App({
    token: BOT_TOKEN,
    signingSecret: SIGNING_SECRET,
    clientOptions,
    logLevel: LogLevel.ERROR,
  });
  const heard = [];
  listen(app, heard);
  await app.start({ port: Number(BOT_PORT), host: '127.0.0.1' });
  const seen = await everything(client, dm, heard);
  // The signatures that it took were looked at: a wrong one is refused.
  const forged = await fetch(`http://127.0.0.1:${BOT_PORT}/slack/events`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-slack-request-timestamp': String(Math.floor(Date.now() / 1000)),
      'x-slack-signature': `v0=${'0'.repeat(64)}`,
    },
    body: '{}',
  });
  seen.forged = forged.status;
  await app.stop();
  return seen;
}

async function overASocket(client, dm) {
  await act('sockets', { on: true });
  const app = new bolt.App({
    token: BOT_TOKEN,
    appToken: APP_TOKEN,
    socketMode: true,
    clientOptions,
    logLevel: LogLevel.ERROR,
  });
  const heard = [];
  listen(app, heard);
  await app.start();
  const seen = await everything(client, dm, heard);
  await app.stop();
  return seen;
}

const { client, seen } = await calls();
const http = await overHttp(client, seen.dm);
const socket = await overASocket(client, seen.dm);
console.log(JSON.stringify({ calls: seen, http, socket }));
process.exit(0);
