/** The left sidebar: the clusters that there are, a new one, and the way to the panels. */
import type { LabIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import { Widget } from '@lumino/widgets';
import type { ClusterInfo } from '../api';
import { connectCode } from '../commands';
import { button, element } from '../dom/elements';
import type { SummaryState } from '../generated/screen';
import { clustersIcon } from '../icons';
import type { Shared } from '../shared';
import type { Subscription, ViewsSocket } from '../views';
import { Card, type CardActions } from './card';
import { dragCode } from './drag';

/** So many clusters are followed live; of more the list alone is shown. */
const LIVE_MAX = 12;

/** A panel that can be opened. */
export interface Way {
  command: string;
  title: string;
  icon: LabIcon;
}

interface Entry {
  card: Card;
  socket: ViewsSocket | null;
  subscription: Subscription | null;
  summary: SummaryState | null;
  follow: () => void;
}

export class Sidebar extends Widget {
  private entries = new Map<string, Entry>();
  private list = element('ul', { class: 'raynb-Sidebar-list', label: 'Clusters' });
  private notice = element('div', { class: 'raynb-Sidebar-notice', role: 'status' });
  private starting = element('p', { class: 'raynb-Sidebar-starting', role: 'status' });
  private unwatch: (() => void) | null = null;

  constructor(
    private shared: Shared,
    panels: readonly Way[]
  ) {
    super();
    this.id = 'raynb-clusters';
    this.title.icon = clustersIcon;
    this.title.caption = 'raynb Clusters';
    this.addClass('raynb-Sidebar');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'raynb clusters');
    this.node.append(this.heading(), this.starting, this.list, this.notice, this.ways(panels));
    this.starting.hidden = true;
    shared.clusters.listChanged.connect(this.refresh, this);
    shared.clusters.currentChanged.connect(this.refresh, this);
    this.refresh();
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.look(false);
      this.shared.clusters.listChanged.disconnect(this.refresh, this);
      this.shared.clusters.currentChanged.disconnect(this.refresh, this);
      super.dispose();
    }
  }

  protected onAfterShow(): void {
    this.look(true);
  }

  protected onAfterAttach(): void {
    this.look(this.isVisible);
  }

  protected onBeforeHide(): void {
    this.look(false);
  }

  protected onBeforeDetach(): void {
    this.look(false);
  }

  protected onActivateRequest(): void {
    this.node.querySelector<HTMLElement>('button')?.focus();
  }

  private look(on: boolean): void {
    if (on !== (this.unwatch !== null)) {
      this.unwatch?.();
      this.unwatch = on ? this.shared.clusters.watch() : null;
      this.refresh();
    }
  }

  private heading(): HTMLElement {
    const { commands } = this.shared.app;
    const start = button('New…', () => void commands.execute('raynb:new-cluster'), {
      class: 'raynb-mod-accept',
      title: 'Start a cluster'
    });
    const again = button('↻', () => void this.shared.clusters.refresh(), {
      label: 'Look for clusters again',
      title: 'Look for clusters again'
    });
    const title = element('h2', { text: 'Clusters' });
    return element('div', { class: 'raynb-Sidebar-head' }, title, again, start);
  }

  private ways(panels: readonly Way[]): HTMLElement {
    const { commands } = this.shared.app;
    const box = element('div', { class: 'raynb-Sidebar-panels', role: 'group', label: 'Panels' });
    box.append(element('h2', { text: 'Panels' }));
    for (const { command, title, icon } of panels) {
      const node = button(title, () => void commands.execute(command), {
        title: commands.caption(command)
      });
      const mark = icon.element({ tag: 'span' });
      mark.setAttribute('aria-hidden', 'true');
      node.prepend(mark);
      box.append(node);
    }
    return box;
  }

  /** Brings the cards to what is known. */
  private refresh(): void {
    const { clusters } = this.shared;
    const ids = new Set(clusters.list.map(({ id }) => id));
    for (const [id, entry] of this.entries) {
      if (!ids.has(id)) {
        this.leave(id, entry);
        entry.card.node.remove();
        this.entries.delete(id);
      }
    }
    clusters.list.forEach((cluster, position) => {
      const entry = this.entries.get(cluster.id) ?? this.add(cluster);
      const current = cluster.id === clusters.current;
      entry.card.show(cluster, this.about(cluster), current, clusters.isStopping(cluster.id));
      if (this.unwatch && cluster.alive && position < LIVE_MAX) {
        this.join(cluster.id, entry);
      } else {
        this.leave(cluster.id, entry);
      }
      if (this.list.children[position] !== entry.card.node) {
        this.list.insertBefore(entry.card.node, this.list.children[position] ?? null);
      }
    });
    this.starting.hidden = clusters.starting === 0;
    const words = clusters.starting ? 'Starting a cluster …' : '';
    if (this.starting.textContent !== words) {
      this.starting.textContent = words;
    }
    this.refreshNotice();
  }

  private add(cluster: ClusterInfo): Entry {
    const entry: Entry = {
      card: new Card(cluster, this.actions(this.shared.app.commands)),
      socket: null,
      subscription: null,
      summary: null,
      follow: () => {
        if (entry.socket) {
          entry.card.tell(entry.socket.status, entry.summary);
        }
      }
    };
    this.entries.set(cluster.id, entry);
    return entry;
  }

  private join(id: string, entry: Entry): void {
    if (!entry.socket) {
      const socket = this.shared.clusters.acquire(id);
      entry.socket = socket;
      socket.statusChanged.connect(entry.follow);
      entry.subscription = socket.subscribe(
        { view: 'summary' },
        {
          told: state => {
            entry.summary = state as SummaryState;
          },
          settled: entry.follow
        }
      );
    }
    entry.follow();
  }

  private leave(id: string, entry: Entry): void {
    if (entry.socket) {
      entry.subscription?.dispose();
      entry.socket.statusChanged.disconnect(entry.follow);
      this.shared.clusters.release(id);
      entry.socket = entry.subscription = null;
    }
  }

  private actions(commands: CommandRegistry): CardActions {
    return {
      choose: ({ id }) => {
        this.shared.clusters.choose(id);
      },
      inject: ({ id }) => void commands.execute('raynb:inject-code', { cluster: id }),
      scale: ({ id }) => void commands.execute('raynb:scale-cluster', { cluster: id }),
      stop: ({ id }) => void commands.execute('raynb:stop-cluster', { cluster: id }),
      drag: (cluster, event) => {
        dragCode(connectCode(cluster), event);
      }
    };
  }

  private about(cluster: ClusterInfo): string {
    const notebook = cluster.notebook && this.shared.door.nameOf(cluster.notebook);
    const from = notebook || (cluster.notebook ? 'a notebook' : cluster.origin);
    return `${from} · raynb ${cluster.raynb_version}`;
  }

  private refreshNotice(): void {
    const { loaded, error, list, starting } = this.shared.clusters;
    const [kind, text] = error
      ? ['error', error]
      : !loaded
        ? ['searching', '']
        : list.length === 0 && !starting
          ? ['empty', '']
          : ['', ''];
    this.list.classList.toggle('raynb-mod-past', kind === 'error');
    if (this.notice.dataset.key === `${kind} ${text}`) {
      return;
    }
    this.notice.dataset.key = `${kind} ${text}`;
    this.notice.hidden = kind === '';
    if (kind === 'error') {
      this.notice.replaceChildren(
        element('p', { text: "raynb's server extension does not answer." }),
        element('p', { class: 'raynb-dim', text }),
        button('Try again now', () => void this.shared.clusters.refresh())
      );
    } else if (kind === 'searching') {
      this.notice.replaceChildren(element('p', { text: 'Looking for clusters …' }));
    } else {
      this.notice.replaceChildren(
        element('p', { text: 'No cluster is running.' }),
        element('p', {
          class: 'raynb-dim',
          text: 'One starts with the first remote task of a notebook, or with New.'
        })
      );
    }
  }
}
