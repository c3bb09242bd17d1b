/** A cluster in the sidebar: what it is, how busy it is, and what can be done with it. */
import { button, element } from '../dom/elements';
import { sign } from '../dom/signs';
import { FAILED, FINISHED, RUNNING } from '../dom/theme';
import { bytes, count } from '../dom/words';
import type { ClusterInfo } from '../api';
import type { SummaryState } from '../generated/screen';
import type { Status } from '../views';

export interface CardActions {
  choose: (cluster: ClusterInfo) => void;
  inject: (cluster: ClusterInfo) => void;
  scale: (cluster: ClusterInfo) => void;
  stop: (cluster: ClusterInfo) => void;
  /** The pointer begins to drag the card elsewhere. */
  drag: (cluster: ClusterInfo, event: PointerEvent) => void;
}

/** Farther than this a press is a drag, in CSS pixels. */
const DRAG_MIN = 6;

export class Card {
  readonly node = element('li', { class: 'raynb-Cluster' });
  private name: HTMLButtonElement;
  private about = element('p', { class: 'raynb-Cluster-about' });
  private live = element('div', { class: 'raynb-Cluster-live' });
  private meters = {
    cpu: new Meter('CPUs'),
    memory: new Meter('Memory'),
    store: new Meter('Store')
  };
  private tasks = element('ul', { class: 'raynb-Cluster-tasks', label: 'Tasks' });
  private word = element('p', { class: 'raynb-Cluster-word', role: 'status' });
  private buttons: HTMLButtonElement[];

  constructor(
    private cluster: ClusterInfo,
    private actions: CardActions
  ) {
    this.node.dataset.cluster = cluster.id;
    this.name = button(cluster.name, () => {
      actions.choose(this.cluster);
    });
    this.name.classList.add('raynb-Cluster-name');
    this.buttons = [
      this.action('Connect', 'Add a cell that connects to it', 'inject'),
      this.action('Scale…', 'Change how many CPUs it uses', 'scale'),
      this.action('Shut down…', 'End it and all that runs on it', 'stop')
    ];
    const row = element('div', { class: 'raynb-Cluster-buttons' }, ...this.buttons);
    const { cpu, memory, store } = this.meters;
    this.live.append(cpu.node, memory.node, store.node, this.tasks);
    this.live.hidden = true;
    this.node.append(this.name, this.about, this.live, this.word, row);
    // So that commands of the context menu mean this one.
    this.node.addEventListener('contextmenu', () => {
      actions.choose(this.cluster);
    });
    this.listenToDrag();
  }

  show(cluster: ClusterInfo, about: string, current: boolean, stopping: boolean): void {
    this.cluster = cluster;
    this.name.textContent = cluster.name;
    this.name.setAttribute('aria-pressed', String(current));
    this.name.title = current
      ? 'The panels show this cluster'
      : 'Have the panels show this cluster';
    this.about.textContent = about;
    this.node.classList.toggle('raynb-mod-current', current);
    this.node.classList.toggle('raynb-mod-busy', stopping);
    const [connect, scale, stop] = this.buttons;
    connect.disabled = stopping;
    scale.disabled = stopping || !cluster.alive;
    stop.disabled = stopping;
    if (stopping) {
      this.say('Shutting down …');
    } else if (cluster.problem) {
      this.live.hidden = true;
      this.say(sentence(cluster.problem));
    }
  }

  /** What its hub says of it, or how the connection to that is. */
  tell(status: Status, summary: SummaryState | null): void {
    if (this.cluster.problem || this.node.classList.contains('raynb-mod-busy')) {
      return;
    }
    this.live.hidden = summary === null;
    this.live.classList.toggle('raynb-mod-past', status.kind !== 'live');
    if (summary) {
      this.fill(summary);
    }
    if (status.kind === 'mismatch') {
      this.say(`It speaks another version of the protocol (raynb ${status.version}).`);
    } else if (status.kind === 'lost') {
      this.say('The connection is lost; trying again.');
    } else {
      this.say(summary ? '' : 'Connecting …');
    }
  }

  private fill(now: SummaryState): void {
    const cpus = `${count(now.cpus_used)} of ${count(now.cpus_total)}`;
    this.meters.cpu.show(now.cpus_used, now.cpus_total, cpus);
    this.meters.memory.show(
      now.memory_used_bytes,
      now.memory_total_bytes,
      `${bytes(now.memory_used_bytes)} of ${bytes(now.memory_total_bytes)}`
    );
    this.meters.store.show(
      now.store_used_bytes,
      now.store_capacity_bytes,
      `${bytes(now.store_used_bytes)} of ${bytes(now.store_capacity_bytes)}`
    );
    const rows = [
      [RUNNING, now.tasks_running, 'running'],
      [0, now.tasks_waiting, 'waiting'],
      [FINISHED, now.tasks_finished, 'finished'],
      [FAILED, now.tasks_failed, 'failed']
    ] as const;
    const key = JSON.stringify(rows);
    if (this.tasks.dataset.key !== key) {
      this.tasks.dataset.key = key;
      this.tasks.replaceChildren(
        ...rows
          .filter(([state, number]) => number > 0 || state === RUNNING)
          .map(([state, number, words]) =>
            element('li', {}, sign(state), element('span', { text: `${count(number)} ${words}` }))
          )
      );
    }
  }

  private say(words: string): void {
    if (this.word.textContent !== words) {
      this.word.textContent = words;
    }
    this.word.hidden = words === '';
  }

  private action(
    text: string,
    title: string,
    name: 'inject' | 'scale' | 'stop'
  ): HTMLButtonElement {
    const { cluster } = this;
    return button(
      text,
      () => {
        this.actions[name](this.cluster);
      },
      { title, label: `${text.replace('…', '')} ${cluster.name}` }
    );
  }

  private listenToDrag(): void {
    let pressed: PointerEvent | null = null;
    this.node.addEventListener('pointerdown', event => {
      pressed = event.button === 0 ? event : null;
    });
    this.node.addEventListener('pointermove', event => {
      const start = pressed;
      if (
        start &&
        event.buttons & 1 &&
        Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > DRAG_MIN
      ) {
        pressed = null;
        this.actions.drag(this.cluster, event);
      }
    });
  }
}

/** A part of a whole, as a bar and in words. */
class Meter {
  readonly node = element('div', { class: 'raynb-Meter', role: 'meter' });
  private fill = element('span', { class: 'raynb-Meter-fill' });
  private words = element('span', { class: 'raynb-Meter-words' });

  constructor(label: string) {
    this.node.setAttribute('aria-label', label);
    this.node.setAttribute('aria-valuemin', '0');
    const bar = element('span', { class: 'raynb-Meter-bar' }, this.fill);
    this.node.append(element('span', { text: label }), bar, this.words);
  }

  show(used: number, total: number, words: string): void {
    const part = total > 0 ? Math.min(1, Math.max(0, used / total)) : 0;
    this.node.setAttribute('aria-valuenow', String(used));
    this.node.setAttribute('aria-valuemax', String(Math.max(used, total)));
    this.node.setAttribute('aria-valuetext', words);
    this.fill.style.width = `${(100 * part).toFixed(1)}%`;
    this.words.textContent = words;
  }
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith('.') ? '' : '.');
}
