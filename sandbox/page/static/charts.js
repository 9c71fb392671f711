// Charts, drawn as SVG: one idea each, direct labels, hatching and dashes beside colour, and the same as a table.

import {classes, drawPlain, make} from './mrkdwn.js';
import {fresh, undrawable, wordsOf} from './pieces.js';
import {scrolling} from './tables.js';

const SVG = 'http://www.w3.org/2000/svg';

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, name === 'class' ? classes(value) : String(value));
  node.append(...children);
  return node;
}

function amount(value) {
  return new Intl.NumberFormat('en', {maximumFractionDigits: 2}).format(value);
}

function shortAmount(value) {
  return new Intl.NumberFormat('en', {notation: 'compact', maximumFractionDigits: 1}).format(value);
}

/** Steps for an axis that holds every value and zero. */
function axisSteps(values) {
  const high = Math.max(0, ...values);
  const low = Math.min(0, ...values);
  const raw = (high - low || 1) / 4;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * unit).find((each) => each >= raw);
  const steps = [];
  for (let at = Math.floor(low / step); at <= Math.ceil(high / step) && steps.length < 20; at += 1) steps.push(at * step);
  return steps;
}

const DASHES = ['', '7 4', '2 4', '10 3 2 3', '14 4', '4 2', '1 3', '8 2 2 2', '12 2 4 2', '3 6', '6 6', '2 2'];

/** A marker whose shape, not only its colour, tells one series from the next. */
function marker(shape, x, y) {
  const className = `mark series-${shape % 6}`;
  switch (shape % 4) {
    case 0: return svg('circle', {cx: x, cy: y, r: 4, class: className});
    case 1: return svg('rect', {x: x - 4, y: y - 4, width: 8, height: 8, class: className});
    case 2: return svg('path', {d: `M${x} ${y - 5}L${x + 5} ${y + 4}H${x - 5}Z`, class: className});
    default: return svg('path', {d: `M${x} ${y - 6}L${x + 6} ${y}L${x} ${y + 6}L${x - 6} ${y}Z`, class: className});
  }
}

/** Fill patterns: each series has hatching of its own. Returns the url() of each. */
function patterns(drawing, count) {
  const defs = svg('defs');
  drawing.append(defs);
  return Array.from({length: count}, (_, at) => {
    const id = fresh('hatch');
    const pattern = svg('pattern', {id, width: 8, height: 8, patternUnits: 'userSpaceOnUse', patternTransform: `rotate(${[0, 45, 135, 0, 90, 20][at % 6]})`});
    pattern.append(svg('rect', {width: 8, height: 8, class: `fill series-${at % 6}`}));
    if (at % 6 && at % 6 !== 3) pattern.append(svg('path', {d: 'M0 4H8', class: 'hatch'}));
    if (at % 6 === 3) pattern.append(svg('circle', {cx: 4, cy: 4, r: 1.6, class: 'hatch-dot'}));
    defs.append(pattern);
    return `url(#${id})`;
  });
}

/** Whether the letters in a chart are large, because the chart itself is small (blocks.css). */
function isNarrow() {
  return matchMedia('(max-width: 480px)').matches;
}

function drawAxes(drawing, box, steps, categories, axis) {
  const low = steps[0];
  const high = steps[steps.length - 1];
  const y = (value) => box.bottom - ((value - low) / (high - low || 1)) * (box.bottom - box.top);
  for (const step of steps) {
    drawing.append(svg('line', {x1: box.left, x2: box.right, y1: y(step), y2: y(step), class: step === 0 ? 'axis' : 'grid'}));
    drawing.append(svg('text', {x: box.left - 6, y: y(step) + 4, class: 'tick', 'text-anchor': 'end'}, shortAmount(step)));
  }
  const width = (box.right - box.left) / categories.length;
  // Labels that would run into each other are left out, evenly.
  const letter = isNarrow() ? 10 : 6.5;
  const longest = Math.max(0, ...categories.map((words) => [...String(words)].length));
  const every = Math.max(1, Math.ceil((longest * letter + 10) / width));
  categories.forEach((words, at) => {
    if (at % every) return;
    drawing.append(svg('text', {x: box.left + width * (at + 0.5), y: box.bottom + 17, class: 'tick', 'text-anchor': 'middle'}, words));
  });
  if (axis?.x_label) drawing.append(svg('text', {x: (box.left + box.right) / 2, y: box.bottom + 36, class: 'axis-label', 'text-anchor': 'middle'}, axis.x_label));
  if (axis?.y_label) drawing.append(svg('text', {x: 4, y: box.top - 12, class: 'axis-label'}, axis.y_label));
  return {y, x: (at) => box.left + width * (at + 0.5), width};
}

function drawSeriesChart(chart) {
  const categories = chart.axis_config?.categories ?? [...new Set((chart.series ?? []).flatMap((line) => (line.data ?? []).map((point) => point.label)))];
  const series = (chart.series ?? []).map((line) => ({
    name: line.name,
    values: categories.map((label) => (line.data ?? []).find((point) => point.label === label)?.value ?? null),
  }));
  const values = series.flatMap((line) => line.values).filter((value) => value !== null);
  const room = chart.type === 'bar' ? 0 : 96;
  const drawing = svg('svg', {viewBox: '0 0 520 270', class: 'chart'});
  const box = {left: 48, right: 512 - room, top: 30, bottom: 222};
  const {x, y, width} = drawAxes(drawing, box, axisSteps(values), categories, chart.axis_config);
  const fills = patterns(drawing, series.length);
  const taken = [];
  series.forEach((line, at) => {
    const points = line.values.map((value, index) => (value === null ? null : [x(index), y(value)])).filter(Boolean);
    if (chart.type === 'bar') {
      const each = Math.min(48, (width * 0.76) / series.length);
      line.values.forEach((value, index) => {
        if (value === null) return;
        const left = x(index) - (each * series.length) / 2 + each * at;
        const top = Math.min(y(value), y(0));
        drawing.append(svg('rect', {x: left, y: top, width: Math.max(2, each - 2), height: Math.abs(y(value) - y(0)), fill: fills[at], class: 'bar'}));
        if (each > 24) drawing.append(svg('text', {x: left + each / 2 - 1, y: top - 5, class: 'value', 'text-anchor': 'middle'}, shortAmount(value)));
      });
      return;
    }
    if (!points.length) return;
    const path = points.map(([px, py], index) => `${index ? 'L' : 'M'}${px} ${py}`).join('');
    if (chart.type === 'area') {
      drawing.append(svg('path', {d: `${path}L${points.at(-1)[0]} ${y(0)}L${points[0][0]} ${y(0)}Z`, fill: fills[at], class: 'area'}));
    }
    drawing.append(svg('path', {d: path, class: `line series-${at % 6}`, 'stroke-dasharray': DASHES[at % DASHES.length]}));
    for (const [px, py] of points) drawing.append(marker(at, px, py));
    // The name and the last value stand at the line's end, each in a row of its own.
    let labelAt = points.at(-1)[1] + 4;
    const row = isNarrow() ? 18 : 13;
    while (taken.some((each) => Math.abs(each - labelAt) < 2 * row)) labelAt += row;
    taken.push(labelAt);
    const last = line.values.filter((value) => value !== null).at(-1);
    drawing.append(svg('text', {x: points.at(-1)[0] + 10, y: labelAt, class: 'series-name'}, line.name));
    drawing.append(svg('text', {x: points.at(-1)[0] + 10, y: labelAt + row - 1, class: 'tick'}, shortAmount(last)));
  });
  const legend = chart.type === 'bar' && series.length > 1 ? make('ul', 'legend', ...series.map((line, at) => {
    const sample = svg('svg', {viewBox: '0 0 16 16', class: 'sample', 'aria-hidden': 'true'});
    sample.append(svg('rect', {width: 16, height: 16, fill: fills[at]}));
    return make('li', '', sample, line.name);
  })) : null;
  const rows = [['', ...series.map((line) => line.name)], ...categories.map((label, index) => [label, ...series.map((line) => (line.values[index] === null ? 'none' : amount(line.values[index])))])];
  const said = series.map((line) => {
    const known = line.values.map((value, index) => [categories[index], value]).filter(([, value]) => value !== null);
    if (!known.length) return `${line.name}: no values`;
    return `${line.name}: ${known.map(([label, value]) => `${label} ${amount(value)}`).join(', ')}`;
  }).join('. ');
  return {drawing, legend, rows, said};
}

function drawPie(chart) {
  const segments = chart.segments ?? [];
  const total = segments.reduce((sum, segment) => sum + (Number(segment.value) || 0), 0) || 1;
  const drawing = svg('svg', {viewBox: '0 0 520 270', class: 'chart'});
  const fills = patterns(drawing, segments.length);
  const [cx, cy, r] = [260, 135, 92];
  let from = -Math.PI / 2;
  const point = (angle, radius) => [cx + radius * Math.cos(angle), cy + radius * Math.sin(angle)];
  segments.forEach((segment, at) => {
    const share = (Number(segment.value) || 0) / total;
    const to = from + share * 2 * Math.PI;
    const middle = (from + to) / 2;
    if (share >= 0.9999) drawing.append(svg('circle', {cx, cy, r, fill: fills[at], class: 'slice'}));
    else {
      const [x1, y1] = point(from, r);
      const [x2, y2] = point(to, r);
      drawing.append(svg('path', {d: `M${cx} ${cy}L${x1} ${y1}A${r} ${r} 0 ${share > 0.5 ? 1 : 0} 1 ${x2} ${y2}Z`, fill: fills[at], class: 'slice'}));
    }
    const [lx, ly] = point(middle, r + 14);
    const [tx, ty] = point(middle, r + 3);
    drawing.append(svg('line', {x1: tx, y1: ty, x2: lx, y2: ly, class: 'grid'}));
    const words = `${segment.label} ${Math.round(share * 100)}%`;
    drawing.append(svg('text', {x: lx + (lx < cx ? -4 : 4), y: ly + 4, class: 'series-name', 'text-anchor': lx < cx ? 'end' : 'start'}, words));
    from = to;
  });
  const rows = [['', 'Value', 'Share'], ...segments.map((segment) => [segment.label, amount(segment.value), `${Math.round((segment.value / total) * 100)}%`])];
  return {drawing, legend: null, rows, said: segments.map((segment) => `${segment.label} ${amount(segment.value)}`).join(', ')};
}

export function drawVisualization(block) {
  const chart = block.chart ?? {};
  if (!['bar', 'line', 'area', 'pie'].includes(chart.type)) return undrawable(`data_visualization ${chart.type}`);
  const title = wordsOf(block.title);
  const {drawing, legend, rows, said} = chart.type === 'pie' ? drawPie(chart) : drawSeriesChart(chart);
  const kind = {bar: 'Bar chart', line: 'Line chart', area: 'Area chart', pie: 'Pie chart'}[chart.type];
  drawing.setAttribute('role', 'img');
  drawing.setAttribute('aria-label', `${kind}: ${title}. ${said}.`);
  const table = make('table', 'table');
  rows.forEach((cells, number) => {
    const row = make('tr', '', ...cells.map((words, column) => {
      const cell = make(number === 0 || column === 0 ? 'th' : 'td', '', words);
      if (cell.tagName === 'TH') cell.scope = number === 0 ? 'col' : 'row';
      return cell;
    }));
    (number === 0 ? (table.tHead ?? table.createTHead()) : (table.tBodies[0] ?? table.createTBody())).append(row);
  });
  const asTable = make('details', 'as-table', make('summary', '', 'Show as a table'), scrolling(table, `${title}, as a table`));
  return make('figure', 'visualization', make('figcaption', 'chart-title', drawPlain(title)), drawing, legend, asTable);
}
