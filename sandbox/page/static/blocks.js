// Block Kit, drawn as DOM nodes: every block and element that the sandbox takes (docs.slack.dev/reference/block-kit).
//
//   drawBlocks(blocks, context) -> DocumentFragment
//   drawAttachments(attachments, context) -> DocumentFragment
//   drawText(text, context) -> Node                       a message without blocks
//   readValues(root) -> {block_id or action_id: value}    what was typed and chosen, as POST /sandbox/submit takes it
//   checkValues(root) -> {block_id: message}              what must be mended before a submission
//   showErrors(root, {block_id: message}) -> [field]      errors at their fields
//   keepValues(root), restoreValues(root, kept)           for drawing the same view anew
//   context = {
//     surface: 'message' | 'modal' | 'home',
//     names: {users: {id: {name}}, channels: {id: {name, kind}}}, zone: IANA zone of the reader, me: user id,
//     channel: id of the channel that the reader looks at,
//     onAction({block_id, action_id, type, value, state}) -> Promise,   the element is busy until it settles
//     options({block_id, action_id, query}) -> Promise<{options, option_groups}>,   for external selects
//   }
// `value` is a string, a list of strings, a number (datetimepicker: Unix seconds), an option or a list of options (external
// selects), or null. `state` holds the other values of the same message or view, as readValues gives them.
// A type that is not known here is shown in a frame with its name; nothing is dropped.

import {drawVisualization} from './charts.js';
import {drawElement} from './controls.js';
import {drawLink, drawMarkdown, drawPlain, drawText, make, safeUrl} from './mrkdwn.js';
import {drawPicture, drawTextObject, fresh, undrawable, wordsOf} from './pieces.js';
import {drawRichText} from './richtext.js';
import {drawDataTable, drawTable} from './tables.js';

export {checkValues, confirmed, keepValues, readValues, restoreValues, showErrors} from './controls.js';
export {drawText};

// Cards, plans, containers ------------------------------------------------------------------------------------------

const TASK_STATES = {
  pending: ['○', 'waiting'], in_progress: ['◐', 'in progress'], complete: ['✓', 'done'], completed: ['✓', 'done'], error: ['✕', 'failed'], failed: ['✕', 'failed'],
};

function drawTask(task, context) {
  const [sign, state] = TASK_STATES[task.status] ?? ['○', String(task.status ?? 'waiting')];
  const icon = make('span', 'task-sign', sign);
  icon.setAttribute('aria-hidden', 'true');
  const drawn = make('div', 'task', make('div', 'task-title', icon, drawPlain(task.title ?? ''), ' ', make('span', 'badge', state)));
  for (const part of [task.details, task.output]) {
    if (part) drawn.append(part.type === 'rich_text' ? drawRichText(part, context) : drawTextObject(part, context));
  }
  if (task.sources?.length) {
    drawn.append(make('div', 'sources', 'Sources: ', ...task.sources.flatMap((source, at) => [at ? ', ' : '', drawLink(source.url ?? '', source.text ?? '')])));
  }
  return drawn;
}

function drawPlan(block, context) {
  const title = make('div', 'plan-title', drawPlain(wordsOf(block.title)));
  const list = make('ol', 'plan-tasks', ...(block.tasks ?? []).map((task) => make('li', '', drawTask(task, context))));
  return make('div', 'plan', title, list);
}

const LEVELS = {info: ['ℹ\uFE0E', 'Note'], warning: ['⚠\uFE0E', 'Warning'], error: ['✕', 'Error'], success: ['✓', 'Done'], default: ['•', 'Note']};

function drawAlert(block, context) {
  const [sign, word] = LEVELS[block.level] ?? LEVELS.default;
  const icon = make('span', 'alert-sign', sign);
  icon.setAttribute('aria-hidden', 'true');
  const drawn = make('div', `alert level-${Object.hasOwn(LEVELS, block.level) ? block.level : 'default'}`, icon, make('strong', 'alert-word', `${word}: `), drawTextObject(block.text, context));
  drawn.setAttribute('role', 'note');
  return drawn;
}

const CARD_ICONS = {bot: '🤖', calendar: '📅', chart: '📊', check: '✓', file: '📄', link: '🔗', person: '👤', star: '★', warning: '⚠'};

function drawCard(block, context) {
  const place = {context, blockId: block.block_id ?? '', label: ''};
  const card = make('article', 'card');
  if (block.hero_image) card.append(drawPicture(block.hero_image, context));
  const words = make('div', 'card-words');
  const icon = block.icon ?? block.slack_icon;
  if (icon?.image_url) words.append(drawPicture(icon, context, null, true));
  else if (icon?.name) {
    const sign = make('span', 'card-icon', CARD_ICONS[icon.name] ?? '◆');
    sign.setAttribute('role', 'img');
    sign.setAttribute('aria-label', String(icon.name));
    words.append(sign);
  }
  if (block.title) words.append(make('div', 'card-title', drawTextObject(block.title, context)));
  if (block.subtitle) words.append(make('div', 'card-subtitle', drawTextObject(block.subtitle, context)));
  if (block.body) words.append(make('div', 'card-body', drawTextObject(block.body, context)));
  if (block.subtext) words.append(make('div', 'card-subtext', drawTextObject(block.subtext, context)));
  card.append(words);
  if (block.actions?.length) card.append(make('div', 'elements', ...block.actions.map((element) => drawElement(element, place))));
  if (block.title) card.setAttribute('aria-label', wordsOf(block.title, context));
  return card;
}

function drawCarousel(block, context) {
  const cards = (block.elements ?? []).map((card) => make('li', 'slide', BLOCKS[card.type] ? drawBlock(card, context) : undrawable(card.type)));
  const strip = make('ul', 'slides', ...cards);
  const move = (by) => strip.scrollBy({left: by * (cards[0]?.offsetWidth ?? 240), behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth'});
  const back = make('button', 'button small', '‹');
  const on = make('button', 'button small', '›');
  for (const [button, label, by] of [[back, 'Earlier cards', -1], [on, 'Further cards', 1]]) {
    button.type = 'button';
    button.setAttribute('aria-label', label);
    button.addEventListener('click', () => move(by));
  }
  strip.tabIndex = 0;
  strip.setAttribute('aria-label', `${cards.length} cards`);
  return make('div', 'carousel', strip, make('div', 'pager', back, on));
}

function drawContainer(block, context) {
  const title = block.title ? make('div', 'container-title', drawTextObject(block.title, context)) : null;
  const subtitle = block.subtitle ? make('div', 'container-subtitle', drawTextObject(block.subtitle, context)) : null;
  const inside = make('div', 'container-inside', drawBlocks(block.child_blocks, {...context, nested: true}));
  if (!block.is_collapsible) {
    const whole = make('section', 'container', title, subtitle, inside);
    if (block.has_header_divider) whole.classList.add('bk-with-divider');
    return whole;
  }
  const whole = make('details', 'container', make('summary', '', title ?? 'More', subtitle), inside);
  whole.open = !block.default_collapsed;
  return whole;
}

function drawVideo(block, context) {
  const sign = make('span', 'picture-sign', '▶\uFE0E');
  sign.setAttribute('aria-hidden', 'true');
  const frame = make('div', 'picture-frame', sign, make('span', 'picture-words', String(block.alt_text ?? '')));
  const title = make('div', 'card-title');
  const href = safeUrl(block.title_url ?? block.video_url ?? '');
  title.append(href ? drawLink(href, wordsOf(block.title)) : drawTextObject(block.title, context) ?? '');
  const by = [block.author_name, block.provider_name].filter(Boolean).join(' · ');
  return make('figure', 'picture video', frame, make('figcaption', 'video-words', title, by ? make('div', 'card-subtitle', by) : null, block.description ? make('div', 'card-body', drawTextObject(block.description, context)) : null));
}

function drawFile(block) {
  const sign = make('span', 'picture-sign', '📄');
  sign.setAttribute('aria-hidden', 'true');
  return make('div', 'picture-frame file', sign, make('span', 'picture-words', 'A file from elsewhere: ', make('code', 'code', String(block.external_id ?? ''))));
}

// Blocks -----------------------------------------------------------------------------------------------

function drawSection(block, context) {
  const drawn = make('div', 'section');
  const words = make('div', 'section-words');
  const text = drawTextObject(block.text, context);
  if (text) words.append(text);
  if (block.fields?.length) {
    words.append(make('div', 'fields', ...block.fields.map((field) => make('div', 'field-words', drawTextObject(field, context)))));
  }
  drawn.append(words);
  if (block.accessory) {
    const place = {context, blockId: block.block_id ?? '', label: block.accessory.type === 'image' ? '' : wordsOf(block.text, context).slice(0, 120)};
    drawn.append(make('div', 'accessory', drawElement(block.accessory, place)));
  }
  return drawn;
}

function drawInput(block, context) {
  const element = block.element ?? {};
  const label = make('div', 'label', drawTextObject(block.label, context));
  const error = make('div', 'error');
  label.id = fresh('label');
  error.id = fresh('error');
  error.setAttribute('role', 'alert');
  if (block.optional) label.append(make('span', 'optional', ' (optional)'));
  const hint = block.hint ? make('div', 'hint', drawTextObject(block.hint, context)) : null;
  if (hint) hint.id = fresh('hint');
  const place = {
    context,
    blockId: block.block_id ?? '',
    label: wordsOf(block.label, context),
    labelId: label.id,
    describedBy: [hint?.id, error.id].filter(Boolean).join(' '),
    input: block,
  };
  const field = drawElement(element, place);
  label.addEventListener('click', () => field.querySelector('input,select,textarea')?.focus() ?? field.focus?.());
  const drawn = make('div', 'input-block', label, field, hint, error);
  drawn.dataset.inputBlock = place.blockId;
  return drawn;
}

function drawElements(block, context, className) {
  const place = {context, blockId: block.block_id ?? '', label: ''};
  return make('div', className, ...(block.elements ?? []).map((element) => drawElement(element, place)));
}

function drawContext(block, context) {
  const place = {context, blockId: block.block_id ?? '', label: ''};
  return make('div', 'context', ...(block.elements ?? []).map((element) => (
    element.type === 'mrkdwn' || element.type === 'plain_text' ? drawTextObject(element, context) : drawElement(element, place)
  )));
}

function drawHeader(block, context) {
  const heading = make('div', 'header', drawTextObject(block.text, context));
  heading.setAttribute('role', 'heading');
  heading.setAttribute('aria-level', String(Math.min(6, Math.max(3, (Number(block.level) || 1) + 2))));
  return heading;
}

const BLOCKS = {
  section: drawSection,
  header: drawHeader,
  divider: () => make('hr', 'divider'),
  context: drawContext,
  actions: (block, context) => drawElements(block, context, 'elements'),
  context_actions: (block, context) => drawElements(block, context, 'elements quiet'),
  image: (block, context) => drawPicture(block, context, block.title),
  input: drawInput,
  rich_text: drawRichText,
  markdown: (block, context) => drawMarkdown(block.text, context),
  video: drawVideo,
  file: drawFile,
  table: drawTable,
  data_table: drawDataTable,
  data_visualization: drawVisualization,
  task_card: drawTask,
  plan: drawPlan,
  alert: drawAlert,
  card: drawCard,
  carousel: drawCarousel,
  container: drawContainer,
};

function drawBlock(block, context) {
  const draw = Object.hasOwn(BLOCKS, block?.type) ? BLOCKS[block.type] : null;
  const drawn = draw ? draw(block, context) : undrawable(block?.type);
  const whole = make('div', `block block-${draw ? block.type : 'unknown'}`, drawn);
  if (block?.block_id) whole.dataset.blockId = block.block_id;
  return whole;
}

/** Draw blocks for a surface. What is interactive tells `context.onAction`. */
export function drawBlocks(blocks, context = {}) {
  const drawn = document.createDocumentFragment();
  const root = make('div', `blocks on-${context.surface ?? 'message'}`);
  root.dataset.blocksRoot = '';
  for (const block of blocks ?? []) root.append(drawBlock(block, context));
  // What belongs to a container is part of the surface around it.
  if (context.nested) drawn.append(...root.childNodes);
  else drawn.append(root);
  return drawn;
}

/** Draw a message's attachments: blocks, or the fields of the older kind, beside a bar of their colour. */
export function drawAttachments(attachments, context = {}) {
  const drawn = document.createDocumentFragment();
  for (const given of attachments ?? []) {
    const frame = make('div', 'attachment');
    const colour = {good: '#2eb67d', warning: '#ecb22e', danger: '#e01e5a'}[given.color] ?? `#${String(given.color ?? '').replace(/^#/, '')}`;
    if (/^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(colour)) frame.style.borderInlineStartColor = colour;
    if (given.pretext) drawn.append(drawText(given.pretext, context));
    if (given.blocks?.length) frame.append(drawBlocks(given.blocks, context));
    else {
      if (given.author_name) frame.append(make('div', 'card-subtitle', drawPlain(given.author_name)));
      if (given.title) frame.append(make('div', 'card-title', given.title_link ? drawLink(given.title_link, given.title) : drawPlain(given.title)));
      if (given.text) frame.append(drawText(given.text, context));
      if (given.fields?.length) {
        frame.append(make('div', 'fields', ...given.fields.map((field) => make('div', 'field-words', make('strong', '', String(field.title ?? '')), drawText(field.value, context)))));
      }
      if (given.image_url) frame.append(drawPicture({image_url: given.image_url, alt_text: given.fallback ?? given.title ?? 'A picture'}, context));
      if (given.footer) frame.append(make('div', 'card-subtext', drawPlain(given.footer)));
      if (!frame.childNodes.length) frame.append(drawPlain(given.fallback ?? 'An attachment without content'));
    }
    drawn.append(frame);
  }
  return drawn;
}
