// Tables, plain and with sorting and pages.

import {drawElement, isElement} from './controls.js';
import {drawPlain, make} from './mrkdwn.js';
import {drawTextObject, undrawable, wordsOf} from './pieces.js';
import {drawRichText, richWords} from './richtext.js';

function drawCell(cell, context) {
  if (cell?.type === 'rich_text') return drawRichText(cell, context);
  if (cell?.type === 'mrkdwn' || cell?.type === 'plain_text') return drawTextObject(cell, context);
  if (cell && (cell.text !== undefined || cell.value !== undefined)) return drawPlain(String(cell.text ?? cell.value));
  if (isElement(cell?.type)) return drawElement(cell, {context, blockId: '', label: ''});
  return cell?.type ? undrawable(cell.type) : document.createTextNode('');
}

function cellKey(cell) {
  const number = typeof cell?.value === 'number' ? cell.value : Number.NaN;
  return {number, words: cell?.type === 'rich_text' ? richWords(cell) : String(cell?.text ?? cell?.value ?? '')};
}

export function scrolling(table, label) {
  const scroll = make('div', 'scroll-x', table);
  scroll.tabIndex = 0;
  scroll.setAttribute('role', 'group');
  scroll.setAttribute('aria-label', label);
  return scroll;
}

const ALIGN = new Set(['left', 'center', 'right']);

export function drawTable(block, context) {
  const table = make('table', 'table');
  const settings = block.column_settings ?? [];
  (block.rows ?? []).forEach((cells, number) => {
    const row = make('tr');
    cells.forEach((cell, column) => {
      const node = make(number === 0 ? 'th' : 'td', '', drawCell(cell, context));
      if (number === 0) node.scope = 'col';
      if (ALIGN.has(settings[column]?.align)) node.classList.add(`bk-align-${settings[column].align}`);
      if (settings[column]?.is_wrapped) node.classList.add('bk-wraps');
      row.append(node);
    });
    (number === 0 ? (table.tHead ?? table.createTHead()) : (table.tBodies[0] ?? table.createTBody())).append(row);
  });
  return scrolling(table, 'Table');
}

export function drawDataTable(block, context) {
  const [head = [], ...body] = block.rows ?? [];
  const size = block.page_size ?? 20;
  const caption = wordsOf(block.caption) || 'Table';
  const table = make('table', 'table data-table');
  const count = make('span', 'aside');
  const back = make('button', 'button small', '‹');
  const on = make('button', 'button small', '›');
  const pager = make('div', 'pager', back, count, on);
  let order = {column: -1, up: true};
  let page = 0;
  count.setAttribute('role', 'status');
  back.type = 'button';
  on.type = 'button';
  back.setAttribute('aria-label', 'Earlier rows');
  on.setAttribute('aria-label', 'Further rows');
  table.append(make('caption', 'caption', caption));
  const headers = head.map((cell, column) => {
    const sign = make('span', 'sort-sign', '↕\uFE0E');
    const sort = make('button', 'sort', drawCell(cell, context), sign);
    const th = make('th', '', sort);
    sign.setAttribute('aria-hidden', 'true');
    sort.type = 'button';
    th.scope = 'col';
    sort.addEventListener('click', () => {
      order = {column, up: order.column === column ? !order.up : true};
      page = 0;
      draw();
    });
    return th;
  });
  table.createTHead().append(make('tr', '', ...headers));
  const rows = table.createTBody();
  const draw = () => {
    const sorted = [...body];
    if (order.column >= 0) {
      sorted.sort((a, b) => {
        const [x, y] = [cellKey(a[order.column]), cellKey(b[order.column])];
        const by = Number.isNaN(x.number - y.number) ? x.words.localeCompare(y.words, undefined, {numeric: true}) : x.number - y.number;
        return order.up ? by : -by;
      });
    }
    headers.forEach((th, column) => {
      const mine = order.column === column;
      th.setAttribute('aria-sort', mine ? (order.up ? 'ascending' : 'descending') : 'none');
      th.querySelector('.bk-sort-sign').textContent = mine ? (order.up ? '↑\uFE0E' : '↓\uFE0E') : '↕\uFE0E';
    });
    const from = page * size;
    rows.replaceChildren(...sorted.slice(from, from + size).map((cells) => make('tr', '', ...cells.map((cell, column) => {
      const isHeader = column === block.row_header_column_index;
      const node = make(isHeader ? 'th' : 'td', '', drawCell(cell, context));
      if (isHeader) node.scope = 'row';
      if (cell?.type === 'raw_number') node.classList.add('bk-align-right');
      return node;
    }))));
    count.textContent = `${from + 1}–${Math.min(from + size, body.length)} of ${body.length}`;
    // A button that is disabled while it has the focus loses it: it stays, and does nothing.
    back.setAttribute('aria-disabled', String(page === 0));
    on.setAttribute('aria-disabled', String(from + size >= body.length));
  };
  back.addEventListener('click', () => {
    if (page > 0) page -= 1;
    draw();
  });
  on.addEventListener('click', () => {
    if ((page + 1) * size < body.length) page += 1;
    draw();
  });
  draw();
  const whole = make('div', 'data-table-block', scrolling(table, caption));
  if (body.length > size) whole.append(pager);
  return whole;
}
