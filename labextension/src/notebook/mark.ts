/** What stands below a cell's input when the cell has tasks: a bar of their states, and a badge that leads to the graph. */
import { button, element } from '../dom/elements';
import { sign } from '../dom/signs';
import { FAILED, FINISHED, mainState, RUNNING, STATES } from '../dom/theme';
import { count, describeCounts, shortCount, total } from '../dom/words';

export class Mark {
  readonly node = element('div', { class: 'raynb-CellMark' });
  private bar = element('div', { class: 'raynb-CellMark-bar', 'aria-hidden': 'true' });
  private badge: HTMLButtonElement;
  private cancel: HTMLButtonElement;
  private shown = '';

  constructor(open: () => void, cancel: () => void) {
    this.badge = button('', open, { class: 'raynb-CellMark-badge' });
    this.cancel = button('Cancel…', cancel, {
      class: 'raynb-CellMark-badge',
      label: 'Cancel the tasks of this cell',
      title: 'Cancel the tasks of this cell that have not ended'
    });
    this.node.append(this.bar, this.badge, this.cancel);
  }

  show(counts: readonly number[]): void {
    const key = counts.join();
    if (key === this.shown) {
      return;
    }
    this.shown = key;
    const all = total(counts);
    this.bar.replaceChildren(
      ...[FINISHED, FAILED, RUNNING, 2, 1, 0]
        .filter(state => counts[state] > 0)
        .map(state => {
          const part = element('span');
          part.style.flexGrow = String(counts[state]);
          part.style.background = `var(${STATES[state].variable})`;
          return part;
        })
    );
    const words = describeCounts(counts);
    const ended = counts[FINISHED] + counts[FAILED];
    this.cancel.hidden = ended >= all;
    const text =
      ended < all
        ? `${shortCount(ended)} of ${shortCount(all)}`
        : `${shortCount(all)} ${all === 1 ? 'task' : 'tasks'}`;
    const parts: Node[] = [sign(mainState(counts)), element('span', { text })];
    if (counts[FAILED] > 0) {
      parts.push(element('b', { text: `${count(counts[FAILED])} failed` }));
    }
    this.badge.replaceChildren(...parts);
    this.badge.title = `${words}. Click to see them in the task graph.`;
    this.badge.setAttribute(
      'aria-label',
      `Tasks of this cell: ${words}. Show them in the task graph`
    );
  }
}
