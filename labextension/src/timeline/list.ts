/** The spans as a list box, for keyboards and screen readers: only those around the selected one are in the page. */
import { clean } from '../dom/clean';
import { element } from '../dom/elements';
import { FAILED, FINISHED, STATES } from '../dom/theme';
import { count, duration } from '../dom/words';
import type { TimelineModel } from '../model/timeline';
import { storeTitle } from './stores';
import { since } from './window';

/** So many spans before and after the selected one are there to be read. */
const AROUND = 6;
let instances = 0;

export class SpanList {
  readonly node = element('div', {
    class: 'raynb-Graph-list',
    role: 'listbox',
    label: 'Timeline',
    'aria-description':
      'Arrows left and right go through a lane, up and down to other lanes; plus and minus zoom.'
  });
  private prefix = `raynb-timeline-${++instances}-`;
  private shown = '';

  constructor(private model: TimelineModel) {
    this.node.tabIndex = 0;
  }

  /** Call when the selection or the spans have changed. */
  update(selected: number): void {
    const { model } = this;
    const lane = selected < 0 ? 0 : model.spans.lane[selected];
    const begin = model.from[lane] ?? 0;
    const end = model.from[lane + 1] ?? 0;
    const middle = selected < 0 ? begin : selected;
    const texts: [number, string][] = [];
    for (let i = Math.max(begin, middle - AROUND); i < Math.min(end, middle + AROUND + 1); i++) {
      texts.push([i, describeSpan(model, i)]);
    }
    const key = JSON.stringify([selected, begin, end, texts]);
    if (key === this.shown) {
      return;
    }
    this.shown = key;
    this.node.replaceChildren(
      ...texts.map(([i, text]) => {
        const option = element('div', {
          role: 'option',
          text,
          'aria-selected': String(i === selected),
          'aria-posinset': String(i - begin + 1),
          'aria-setsize': String(end - begin)
        });
        option.id = `${this.prefix}${i}`;
        return option;
      })
    );
    if (selected < 0) {
      this.node.removeAttribute('aria-activedescendant');
    } else {
      this.node.setAttribute('aria-activedescendant', `${this.prefix}${selected}`);
    }
  }
}

/** "embed, finished, on worker 4001, 1.250 s after the start, took 12 ms" */
export function describeSpan(model: TimelineModel, span: number): string {
  const { spans } = model;
  const many = spans.count[span];
  const lane = model.lanes[spans.lane[span]]?.label ?? '?';
  const begin = since(spans.start[span] - model.first, 1);
  if (model.isStore(span)) {
    const { who } = model.storeOf(span);
    const by = who ? `, ${spans.state[span] === FAILED ? '' : 'by '}${clean(who)}` : '';
    const state = spans.state[span] === FINISHED ? '' : `, ${spanState(spans.state[span])}`;
    return `${storeTitle(model, span)}${state}${by}, ${begin} after the start, ${took(model, span)}`;
  }
  const name = many > 1 ? `${count(many)} tasks of ${model.nameOf(span)}` : model.nameOf(span);
  return `${name}, ${spanState(spans.state[span])}, on ${lane}, ${begin} after the start, ${took(model, span)}`;
}

export function spanState(state: number): string {
  return state === 2 ? 'waits at the worker for its inputs' : (STATES[state]?.label ?? '?');
}

/** How long a span is, in the words that its state asks for. */
export function took(model: TimelineModel, span: number): string {
  const time = duration(model.spans.duration_ms[span]);
  if (model.spans.state[span] === 3) {
    return `for ${time} now`;
  }
  return model.spans.count[span] > 1 ? `within ${time}` : `took ${time}`;
}
