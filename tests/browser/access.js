// What can be computed of how well a page is seen and heard. Evaluated in the page; returns a list of faults in words.
(narrow) => {
  const faults = [];
  const shown = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility === 'visible'
    && node.checkVisibility({opacityProperty: true, contentVisibilityAuto: true});
  const told = (node) => `<${node.tagName.toLowerCase()} class="${node.getAttribute('class') ?? ''}"> ${(node.textContent || node.getAttribute('aria-label') || '').trim().slice(0, 40)}`;
  const top = [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body;

  // Colours: a canvas reads every way of writing one.
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const read = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return {r, g, b, a: a / 255};
  };
  const over = (front, back) => ({
    r: front.r * front.a + back.r * (1 - front.a), g: front.g * front.a + back.g * (1 - front.a), b: front.b * front.a + back.b * (1 - front.a), a: 1,
  });
  const light = ({r, g, b}) => {
    const [x, y, z] = [r, g, b].map((each) => each / 255).map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (node) => {
    const layers = [];
    for (let each = node; each; each = each.parentElement) {
      const colour = read(getComputedStyle(each).backgroundColor);
      if (colour.a) layers.push(colour);
      if (colour.a === 1) break;
    }
    return layers.reverse().reduce((back, front) => over(front, back), read('white'));
  };
  const walker = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!/[\p{L}\p{N}]/u.test(text.data) || seen.has(node) || !shown(node)) continue;
    seen.add(node);
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    if (box.width <= 2 || box.height <= 2) continue; // for screen readers only
    if (node.closest(':disabled,[aria-disabled=true],option,[aria-hidden=true] svg')) continue;
    const isSvg = node instanceof SVGElement;
    const back = ground(node);
    const front = over(read(isSvg ? style.fill : style.color), back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < least) faults.push(`contrast ${ratio.toFixed(2)}: ${told(node)}`);
  }

  // Structure
  if (document.documentElement.lang === '') faults.push('no language');
  if (!document.title) faults.push('no title');
  const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  for (const id of new Set(ids.filter((each, at) => ids.indexOf(each) !== at))) faults.push(`two of id ${id}`);
  for (const name of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for']) {
    for (const node of document.querySelectorAll(`[${name}]`)) {
      for (const id of node.getAttribute(name).split(/\s+/).filter(Boolean)) {
        if (!document.getElementById(id)) faults.push(`${name} points to nothing (${id}): ${told(node)}`);
      }
    }
  }
  for (const node of document.querySelectorAll('[tabindex]')) if (node.tabIndex > 0) faults.push(`tab order by number: ${told(node)}`);
  for (const node of document.querySelectorAll('[aria-hidden=true]')) {
    if (node.matches('a[href],button,input,select,textarea') || node.querySelector('a[href],button,input,select,textarea')) faults.push(`hidden from readers and yet a control: ${told(node)}`);
  }
  for (const node of document.querySelectorAll('img:not([alt])')) faults.push(`a picture without words: ${told(node)}`);

  // Targets that can be hit (WCAG 2.2, 2.5.8); links within a text are as large as their words.
  for (const node of top.querySelectorAll('button,select,input:not([type=checkbox],[type=radio]),textarea,summary,a[href]')) {
    if (!shown(node) || (node.tagName === 'A' && getComputedStyle(node).display === 'inline')) continue;
    const box = node.getBoundingClientRect();
    if (box.width > 2 && (box.width < 24 || box.height < 24)) faults.push(`too small to hit (${Math.round(box.width)} x ${Math.round(box.height)}): ${told(node)}`);
  }

  // Width
  if (narrow) {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > width) faults.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${width}`);
    for (const node of top.querySelectorAll('*')) {
      if (!shown(node) || node.closest('svg')) continue;
      const box = node.getBoundingClientRect();
      const scrolls = node.parentElement?.closest('.bk-scroll-x, .bk-slides');
      if (!scrolls && box.width > 2 && (box.right > width + 1 || box.left < -1)) faults.push(`out of sight (${Math.round(box.left)} to ${Math.round(box.right)}): ${told(node)}`);
    }
  }
  return [...new Set(faults)];
}
