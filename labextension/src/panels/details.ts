/** What is known of the selected node, beside the graph, and what can be done with it. */
import { button, element } from '../dom/elements';
import { countList } from '../dom/signs';
import { FAILED, FINISHED } from '../dom/theme';
import { count, duration, total } from '../dom/words';
import type { GraphNode } from '../generated/screen';
import type { GraphModel } from '../model/graph';

export interface DetailActions {
  /** Shows the notebook cell; false: that notebook isn't open. */
  reveal: (node: GraphNode) => boolean;
  expand: (id: string) => void;
  select: (id: string) => void;
  act: (action: 'cancel' | 'retry', id: string) => Promise<void>;
}

export class Details {
  readonly node = element('aside', { class: 'raynb-Details', label: 'The selected node' });
  private head = element('div');
  private live = element('div');
  private said = element('p', { class: 'raynb-Details-said', role: 'status' });
  private shown = '';

  constructor(
    private model: GraphModel,
    private actions: DetailActions
  ) {
    this.node.append(this.head, this.live, this.said);
    this.node.hidden = true;
  }

  /** Shows a node, or the same with its newest numbers. */
  show(id: string): void {
    const node = this.model.nodes.get(id);
    this.node.hidden = !node;
    if (!node) {
      this.shown = '';
      return;
    }
    const key = JSON.stringify([id, actsOn(node), node.cell, this.model.structure]);
    if (this.shown !== key) {
      // Rebuilt only for another node: buttons must not vanish under whoever is about to press them.
      this.shown = key;
      this.said.textContent = '';
      this.head.replaceChildren(...this.heading(node));
    }
    this.live.replaceChildren(...facts(node));
  }

  private heading(node: GraphNode): HTMLElement[] {
    const parts: HTMLElement[] = [
      element('h2', { text: node.label, title: node.label }),
      element('p', {
        class: 'raynb-dim',
        text: `${node.kind}${node.site ? ` · ${node.site}` : ''}`
      })
    ];
    const buttons = element('div', { class: 'raynb-Details-buttons' });
    if (node.cell) {
      buttons.append(
        button('Go to cell', () => {
          if (!this.actions.reveal(node)) {
            this.said.textContent = 'The notebook with this cell is not open.';
          }
        })
      );
    }
    if (node.kind !== 'task' && node.kind !== 'put') {
      buttons.append(
        button('Single tasks', () => {
          this.actions.expand(node.id);
        })
      );
    } else {
      const { cancel, retry } = actsOn(node);
      if (cancel) {
        buttons.append(this.actButton('Cancel', 'cancel', node.id));
      }
      if (retry) {
        buttons.append(this.actButton('Retry', 'retry', node.id));
      }
    }
    parts.push(buttons, this.neighbours('Before it', this.model.predecessors(node.id)));
    parts.push(this.neighbours('After it', this.model.successors(node.id)));
    return parts.filter(part => part.childNodes.length > 0);
  }

  private neighbours(title: string, ids: Set<string>): HTMLElement {
    const box = element('div', { class: 'raynb-Details-near' });
    if (ids.size) {
      box.append(element('h3', { text: title }));
      for (const id of [...ids].slice(0, 8)) {
        const label = this.model.nodes.get(id)?.label ?? id;
        box.append(
          button(
            label,
            () => {
              this.actions.select(id);
            },
            { class: 'raynb-mod-link' }
          )
        );
      }
      if (ids.size > 8) {
        box.append(
          element('span', { class: 'raynb-dim', text: `and ${count(ids.size - 8)} more` })
        );
      }
    }
    return box;
  }

  private actButton(text: string, action: 'cancel' | 'retry', id: string): HTMLElement {
    return button(text, () => {
      this.said.textContent = `${text} …`;
      this.actions.act(action, id).then(
        () => {
          this.said.textContent = action === 'cancel' ? 'Cancelled.' : 'Submitted again.';
        },
        (error: unknown) => {
          this.said.textContent = error instanceof Error ? error.message : String(error);
        }
      );
    });
  }
}

function actsOn(node: GraphNode): { cancel: boolean; retry: boolean } {
  const ended = node.counts[FINISHED] + node.counts[FAILED] >= total(node.counts);
  return { cancel: !ended, retry: node.counts[FAILED] > 0 };
}

function facts(node: GraphNode): HTMLElement[] {
  const single = total(node.counts) === 1;
  const parts: HTMLElement[] = [countList(node.counts)];
  const table = element('dl', { class: 'raynb-Facts' });
  const fact = (name: string, value: string): void => {
    table.append(element('dt', { text: name }), element('dd', { text: value }));
  };
  if (node.duration_ms > 0) {
    fact(single ? 'took' : 'mean time', duration(node.duration_ms));
  }
  if (node.running_since > 0) {
    const word = single ? 'runs for' : 'the oldest runs for';
    fact(word, duration(Math.max(0, Date.now() - node.running_since)));
  }
  if (!single) {
    fact('in all', `${count(total(node.counts))} tasks`);
  }
  if (table.childNodes.length) {
    parts.push(table);
  }
  if (node.why) {
    parts.push(element('p', { class: 'raynb-Details-why', text: node.why }));
  }
  if (node.error) {
    const error = element('pre', {
      class: 'raynb-Details-error',
      text: node.error,
      label: 'Error'
    });
    error.tabIndex = 0;
    error.setAttribute('role', 'group');
    parts.push(error);
  }
  return parts;
}
