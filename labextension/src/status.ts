/** The item in the status bar: what the current cluster does, in a few numbers; it opens the panels. */
import type { LabIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import { Menu, Widget } from '@lumino/widgets';
import { button, element } from './dom/elements';
import { sign } from './dom/signs';
import { FAILED, FINISHED, RUNNING } from './dom/theme';
import { count, shortCount } from './dom/words';
import type { SummaryState } from './generated/screen';
import type { Clusters } from './model/clusters';
import type { Subscription, ViewsSocket } from './views';

export class StatusItem extends Widget {
  private button: HTMLButtonElement;
  private menu: Menu;
  private socket: ViewsSocket | null = null;
  private subscription: Subscription | null = null;
  private cluster = '';
  private shown = '';
  private change: () => void = () => undefined;

  constructor(
    private clusters: Clusters,
    icon: LabIcon,
    commands: CommandRegistry,
    ways: readonly { command: string }[]
  ) {
    super();
    this.addClass('raynb-Status');
    this.menu = new Menu({ commands });
    this.menu.title.label = 'raynb';
    for (const { command } of ways) {
      this.menu.addItem({ command });
    }
    this.button = button('', () => {
      this.openMenu();
    });
    this.button.setAttribute('aria-haspopup', 'menu');
    const mark = icon.element({ tag: 'span' });
    mark.setAttribute('aria-hidden', 'true');
    this.node.append(this.button);
    this.button.append(mark, element('span', { class: 'raynb-Status-words' }));
    clusters.currentChanged.connect(this.follow, this);
    this.follow();
  }

  /** Whether there is a cluster to tell of. */
  get active(): boolean {
    return this.cluster !== '';
  }

  /** Calls back when that may have changed. */
  onChange(work: () => void): void {
    this.change = work;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.clusters.currentChanged.disconnect(this.follow, this);
      this.leave();
      this.menu.dispose();
      super.dispose();
    }
  }

  private openMenu(): void {
    const box = this.button.getBoundingClientRect();
    this.menu.open(box.left, box.top); // it turns upwards where there is no room below
  }

  private follow(): void {
    this.leave();
    this.cluster = this.clusters.current;
    if (this.clusters.get(this.cluster)?.alive) {
      this.socket = this.clusters.acquire(this.cluster);
      this.subscription = this.socket.subscribe(
        { view: 'summary' },
        {
          told: state => {
            this.tell(state as SummaryState);
          }
        }
      );
    }
    this.change();
  }

  private leave(): void {
    this.subscription?.dispose();
    this.subscription = null;
    if (this.socket) {
      this.clusters.release(this.cluster);
      this.socket = null;
    }
    this.cluster = '';
  }

  private tell(now: SummaryState): void {
    const numbers = [
      [RUNNING, now.tasks_running, 'running'],
      [0, now.tasks_waiting, 'waiting'],
      [FINISHED, now.tasks_finished, 'finished'],
      [FAILED, now.tasks_failed, 'failed']
    ] as const;
    const there = numbers.filter(([, number]) => number > 0);
    const name = this.clusters.get(this.cluster)?.name ?? '';
    const words = there.map(([, number, word]) => `${count(number)} ${word}`).join(', ');
    const label = `raynb, ${name}: ${words || 'no tasks'}, ${count(now.cpus_used)} of ${count(now.cpus_total)} CPUs in use. Open a panel`;
    if (label === this.shown) {
      return;
    }
    this.shown = label;
    this.button.setAttribute('aria-label', label);
    this.button.title = label;
    const parts: Node[] = there.flatMap(([state, number]) => [
      sign(state),
      element('span', { text: shortCount(number) })
    ]);
    const box = this.button.lastElementChild;
    box?.replaceChildren(...(parts.length ? parts : [element('span', { text: name })]));
  }
}
