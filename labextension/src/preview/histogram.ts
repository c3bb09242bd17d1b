/** A histogram as SVG, in the colours of the theme. */
import type { Histogram } from '../generated/screen';
import { element } from '../dom/elements';
import { count } from '../dom/words';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 220;
const HEIGHT = 64;

export function histogramView(histogram: Histogram): HTMLElement {
  const { counts, low, high, left_out: leftOut } = histogram;
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('class', 'raynb-Histogram');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', histogramWords(histogram));
  const most = Math.max(1, ...counts);
  const step = WIDTH / Math.max(1, counts.length);
  counts.forEach((each, i) => {
    // Whatever is there shows: a bar of one value among a million is a pixel high.
    const high = each ? Math.max(1, (each / most) * HEIGHT) : 0;
    const bar = document.createElementNS(SVG, 'rect');
    bar.setAttribute('x', String(i * step));
    bar.setAttribute('y', String(HEIGHT - high));
    bar.setAttribute('width', String(Math.max(0.5, step - 0.6)));
    bar.setAttribute('height', String(high));
    svg.append(bar);
  });
  const ends = element(
    'div',
    { class: 'raynb-Histogram-ends', 'aria-hidden': 'true' },
    element('span', { text: numeral(low) }),
    element('span', { text: numeral(high) })
  );
  const box = element('div', { class: 'raynb-Preview-histogram' });
  box.append(svg, ends);
  if (leftOut) {
    box.append(
      element('p', { class: 'raynb-dim', text: `${count(leftOut)} values are no finite numbers` })
    );
  }
  return box;
}

/** "Histogram of 1,000 values from -2 to 3.1; most of them from 0.1 to 0.2" */
export function histogramWords({ counts, low, high }: Histogram): string {
  const all = counts.reduce((sum, each) => sum + each, 0);
  const top = counts.indexOf(Math.max(...counts));
  const step = (high - low) / Math.max(1, counts.length);
  const peak = `${numeral(low + top * step)} to ${numeral(low + (top + 1) * step)}`;
  return `Histogram of ${count(all)} values from ${numeral(low)} to ${numeral(high)}; the most from ${peak}`;
}

export function numeral(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e7
    ? String(value)
    : String(Number(value.toPrecision(4)));
}
