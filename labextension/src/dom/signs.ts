/** The signs of the states as DOM: for legends, tables and badges. */
import { count, verb } from './words';
import { element } from './elements';
import { STATES, type Shape } from './theme';

const SVG = 'http://www.w3.org/2000/svg';
const PATHS: Record<Shape, string> = {
  ring: 'M6 1.6a4.4 4.4 0 1 0 0 8.8a4.4 4.4 0 1 0 0-8.8',
  triangle: 'M6 .8L11.2 10.6H.8Z',
  diamond: 'M6 .4L11.6 6L6 11.6L.4 6Z',
  play: 'M1.6 .6L11.2 6L1.6 11.4Z',
  disc: 'M6 .8a5.2 5.2 0 1 0 0 10.4a5.2 5.2 0 1 0 0-10.4',
  cross: 'M1.6 1.6L10.4 10.4M10.4 1.6L1.6 10.4'
};

/** A state's sign in its colour; says nothing to screen readers, the word beside it does. */
export function sign(state: number): SVGSVGElement {
  const { shape, variable } = STATES[state];
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 12 12');
  svg.setAttribute('class', 'raynb-Sign');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[shape]);
  const outlined = shape === 'ring' || shape === 'cross';
  path.style.fill = outlined ? 'none' : `var(${variable})`;
  path.style.stroke = outlined ? `var(${variable})` : 'none';
  path.style.strokeWidth = '2.2';
  svg.append(path);
  return svg;
}

export function legend(): HTMLElement {
  const list = element('ul', { class: 'raynb-Legend', label: 'States of tasks' });
  STATES.forEach((look, state) => {
    list.append(element('li', {}, sign(state), element('span', { text: look.label })));
  });
  return list;
}

/** The counts of what there is, each with sign and word. */
export function countList(counts: readonly number[]): HTMLElement {
  const list = element('ul', { class: 'raynb-Counts' });
  STATES.forEach((look, state) => {
    if (counts[state] > 0) {
      const number = element('b', { text: count(counts[state]) });
      list.append(
        element(
          'li',
          {},
          sign(state),
          number,
          element('span', { text: verb(look.label, counts[state]) })
        )
      );
    }
  });
  return list;
}
