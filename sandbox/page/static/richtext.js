// Rich text: docs.slack.dev/reference/block-kit/blocks/rich-text-block

import {drawEmoji, drawLink, drawMention, formatDate, make} from './mrkdwn.js';
import {undrawable} from './pieces.js';

function styled(node, style) {
  let whole = node;
  if (style?.code) whole = make('code', 'code', whole);
  if (style?.bold) whole = make('strong', '', whole);
  if (style?.italic) whole = make('em', '', whole);
  if (style?.strike) whole = make('s', '', whole);
  if (style?.underline) whole = make('u', '', whole);
  if (style?.highlight || style?.client_highlight) whole = make('mark', '', whole);
  return whole;
}

function drawRichElement(element, context) {
  const {style} = element;
  switch (element.type) {
    case 'text': return styled(document.createTextNode(element.text ?? ''), style);
    case 'link': return styled(drawLink(element.url ?? '', element.text ?? ''), style);
    case 'emoji': {
      const code = /^[0-9a-f-]+$/i.test(element.unicode ?? '') ? element.unicode.split('-').map((each) => Number.parseInt(each, 16)) : [];
      const known = drawEmoji(element.name ?? '');
      return known.nodeType === Node.TEXT_NODE && code.length && code.every((each) => each > 0 && each < 0x110000)
        ? document.createTextNode(String.fromCodePoint(...code)) : known;
    }
    case 'user': return styled(drawMention('users', element.user_id, context), style);
    case 'channel': return styled(drawMention('channels', element.channel_id, context), style);
    case 'usergroup': return styled(drawMention('groups', element.usergroup_id, context), style);
    case 'team': return styled(drawMention('groups', element.team_id, context), style);
    case 'broadcast': return styled(drawMention('all', element.range ?? 'channel', context), style);
    case 'date': {
      const shown = formatDate(element.timestamp, element.format ?? '{date_short} at {time}', context) ?? element.fallback ?? '';
      return styled(element.url ? drawLink(element.url, shown) : make('time', 'date', shown), style);
    }
    case 'color': {
      const swatch = make('span', 'swatch');
      swatch.setAttribute('aria-hidden', 'true');
      if (/^#[0-9a-f]{3,8}$/i.test(element.value ?? '')) swatch.style.backgroundColor = element.value;
      return make('span', '', swatch, String(element.value ?? ''));
    }
    default:
      if (RICH[element.type]) return RICH[element.type](element, context);
      return undrawable(element.type);
  }
}

function drawRichElements(parent, elements, context) {
  for (const element of elements ?? []) parent.append(drawRichElement(element, context));
  return parent;
}

function drawRichList(element, context) {
  const list = make(element.style === 'ordered' ? 'ol' : 'ul', `list indent-${Math.min(8, Number(element.indent) || 0)}`);
  if (element.style === 'ordered' && element.offset) list.start = Number(element.offset) + 1;
  if (element.border) list.classList.add('bk-bordered');
  for (const item of element.elements ?? []) {
    const entry = make('li');
    entry.dir = 'auto';
    list.append(item.type === 'rich_text_section' ? drawRichElements(entry, item.elements, context) : make('li', '', drawRichElement(item, context)));
  }
  return list;
}

const RICH = {
  rich_text_section: (element, context) => {
    const line = drawRichElements(make('div', 'rich-section'), element.elements, context);
    line.dir = 'auto';
    return line;
  },
  rich_text_list: drawRichList,
  rich_text_quote: (element, context) => {
    const quote = drawRichElements(make('blockquote', 'quote'), element.elements, context);
    quote.dir = 'auto';
    return quote;
  },
  rich_text_preformatted: (element, context) => drawRichElements(make('pre', 'preformatted'), element.elements, context),
};

export function drawRichText(block, context) {
  const drawn = make('div', 'rich-text');
  for (const element of block.elements ?? []) drawn.append((RICH[element.type] ?? drawRichElement)(element, context));
  return drawn;
}

/** The words of a rich text, for a field that shows plain text. */
export function richWords(value) {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (typeof value.text === 'string') return value.text;
  return (value.elements ?? []).map(richWords).join(value.type === 'rich_text' || value.type === 'rich_text_list' ? '\n' : '');
}
