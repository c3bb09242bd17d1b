/** What is known of the selected node, beside the graph, and what can be done with it. */
import { short } from '../dom/clean';
import { confirmed } from '../dom/confirm';
import { button, element } from '../dom/elements';
import { countList } from '../dom/signs';
import { FAILED, FINISHED } from '../dom/theme';
import { count, duration, total } from '../dom/words';
import type { GraphNode } from '../generated/screen';
import type { GraphModel } from '../model/graph';
import { TaskFacts, traceback, type TaskLook } from './taskFacts';

export interface DetailActions {
  /** Shows the notebook cell; false: that notebook isn't open. */
  reveal: (node: GraphNode) => boolean;
  expand: (id: string) => void;
  select: (id: string) => void;
  act: (action: 'cancel' | 'retry', id: string) => Promise<void>;
  /** Opens the log of a task. */
  log: (id: string) => void;
  look: TaskLook;
}

export class Details {
  readonly node = element('aside', { class: 'raynb-Details', label: 'The selected node' });
  private head = element('div');
  private live = element('div');
  private facts: TaskFacts;
  private said = element('p', { class: 'raynb-Details-said', role: 'status' });
  private shown = '';

  constructor(
    private model: GraphModel,
    private actions: DetailActions
  ) {
    this.facts = new TaskFacts(actions.look, actions.expand);
    this.node.append(this.head, this.live, this.facts.node, this.said);
    this.node.hidden = true;
  }

  /** Shows a node, or the same with its newest numbers. */
  show(id: string): void {
    const node = this.model.nodes.get(id);
    this.node.hidden = !node;
    if (!node) {
      this.shown = '';
      this.facts.clear();
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
    this.facts.show(node, isSingle(node));
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
    if (!isSingle(node) && node.kind !== 'put') {
      if (actsOn(node).cancel) {
        buttons.append(this.cancelRest(node));
      }
      buttons.prepend(
        button('Single tasks', () => {
          this.actions.expand(node.id);
        })
      );
    } else if (isSingle(node)) {
      this.addActs(node, buttons);
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

  private addActs(node: GraphNode, buttons: HTMLElement): void {
    const { cancel, retry } = actsOn(node);
    if (cancel) {
      const wish = confirmed({
        text: 'Cancel…',
        question: 'Cancel it? What it has done is lost, and what needs its result fails.',
        yes: 'Cancel it',
        done: 'Cancelled.',
        work: () => this.actions.act('cancel', node.id)
      });
      buttons.append(wish);
    }
    if (retry) {
      buttons.append(button('Retry', () => this.retry(node.id)));
    }
    buttons.append(
      button('Log', () => {
        this.actions.log(node.id);
      })
    );
  }

  private cancelRest(node: GraphNode): HTMLElement {
    return confirmed({
      text: 'Cancel the rest…',
      question: `Cancel all tasks of ${short(node.label, 40)} that have not ended? What they have done is lost.`,
      yes: 'Cancel them',
      done: 'Cancelled.',
      work: () => this.actions.act('cancel', node.id)
    });
  }

  private retry(id: string): void {
    this.said.textContent = 'Retry …';
    this.actions.act('retry', id).then(
      () => {
        this.said.textContent = 'Submitted again.';
      },
      (error: unknown) => {
        this.said.textContent = error instanceof Error ? error.message : String(error);
      }
    );
  }
}

/** A task's id is hexadecimal; a node of many has the name of its kind before a colon. */
function isSingle(node: GraphNode): boolean {
  return node.kind !== 'put' && /^[0-9a-f]+$/.test(node.id);
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
    parts.push(traceback(node.error));
  }
  return parts;
}
