/** What a panel shows of the run, where that isn't all of it as it is now: said in chips, each with the way back. */
import { button, element } from '../dom/elements';
import { duration } from '../dom/words';
import type { Selection } from '../model/selection';

/** A brush that is drawn tells of many stretches: so long after the last one it is looked at. */
export const LENS_MS = 150;

/** Only where something has changed: what one is about to press must stay. */
export function showParts(place: HTMLElement, parts: readonly HTMLElement[]): void {
  const key = parts.map(part => part.textContent).join('|');
  if ((place.dataset.key ?? '') !== key) {
    place.dataset.key = key;
    place.replaceChildren(...parts);
  }
}

/** `what`: what a panel keeps of a brushed stretch: "what ran", say. */
export function lensChips(selection: Selection, what: string): HTMLElement[] {
  const { moment, brush } = selection;
  const parts: HTMLElement[] = [];
  if (moment !== null) {
    const time = new Date(moment).toLocaleTimeString(undefined, { hour12: false });
    parts.push(
      element('span', { class: 'raynb-Chip', text: `as of ${time}` }),
      button('Back to now', () => {
        selection.moment = null;
      })
    );
  }
  if (brush) {
    const text = `only ${what} in the brushed ${duration(brush.end - brush.start)}`;
    parts.push(
      element('span', { class: 'raynb-Chip', text }),
      button(
        'All',
        () => {
          selection.brush = null;
        },
        { title: 'Take the brush of the timeline away' }
      )
    );
  }
  return parts;
}
