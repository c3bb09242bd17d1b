/** The graph as a list box, for keyboards and screen readers: it says of each node what the canvas shows. */
import { element } from '../dom/elements';
import { count, describeCounts, duration } from '../dom/words';
import type { GraphNode } from '../generated/screen';
import type { GraphModel } from '../model/graph';

let instances = 0;

export class GraphList {
  readonly node = element('div', {
    class: 'raynb-Graph-list',
    role: 'listbox',
    label: 'Task graph'
  });
  private options = new Map<string, HTMLElement>();
  private prefix = `raynb-graph-${++instances}-`;
  private number = 0;
  private selected = '';

  constructor(private model: GraphModel) {
    this.node.tabIndex = 0;
  }

  /** Keeps the options as the nodes are; the selected node may be gone. */
  update(): void {
    for (const [id, option] of this.options) {
      if (!this.model.nodes.has(id)) {
        option.remove();
        this.options.delete(id);
      }
    }
    for (const node of this.model.nodes.values()) {
      const option = this.options.get(node.id) ?? this.add(node);
      const words = this.words(node);
      if (option.textContent !== words) {
        option.textContent = words;
      }
    }
  }

  select(id: string): void {
    this.options.get(this.selected)?.setAttribute('aria-selected', 'false');
    this.selected = id;
    const option = this.options.get(id);
    option?.setAttribute('aria-selected', 'true');
    if (option) {
      this.node.setAttribute('aria-activedescendant', option.id);
    } else {
      this.node.removeAttribute('aria-activedescendant');
    }
  }

  private add(node: GraphNode): HTMLElement {
    const option = element('div', {
      role: 'option',
      'aria-selected': String(node.id === this.selected)
    });
    option.id = `${this.prefix}${++this.number}`;
    option.dataset.node = node.id;
    this.options.set(node.id, option);
    this.node.append(option);
    return option;
  }

  private words(node: GraphNode): string {
    const time = node.duration_ms > 0 ? `, ${duration(node.duration_ms)}` : '';
    const before = this.model.predecessors(node.id).size;
    const after = this.model.successors(node.id).size;
    return (
      `${node.label}, ${node.kind}: ${describeCounts(node.counts)}${time}. ` +
      `${count(before)} before, ${count(after)} after it.`
    );
  }
}
