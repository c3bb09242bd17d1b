/** How far the tasks of notebooks' cells are, on whichever cluster they run. */
import { Signal, type ISignal } from '@lumino/signaling';
import type { CellCounts, CellsState } from '../generated/screen';
import type { Subscription, ViewsSocket } from '../views';
import type { Clusters } from './clusters';

/** So many clusters are followed; who has more has chosen one of them. */
const CLUSTERS_MAX = 8;

interface Followed {
  socket: ViewsSocket;
  subscription: Subscription;
  /** By `keyOf`. */
  cells: Map<string, CellCounts>;
}

export interface CellOnCluster {
  cluster: string;
  counts: CellCounts;
}

export class CellsModel {
  private followed = new Map<string, Followed>();
  private unwatch: (() => void) | null = null;
  private signal = new Signal<this, void>(this);

  constructor(private clusters: Clusters) {
    clusters.listChanged.connect(this.follow, this);
  }

  get changed(): ISignal<this, void> {
    return this.signal;
  }

  /** Look, or look away: without notebooks nobody has to be told. */
  look(on: boolean): void {
    if (on !== (this.unwatch !== null)) {
      this.unwatch?.();
      this.unwatch = on ? this.clusters.watch() : null;
      this.follow();
    }
  }

  /** The newest run of a cell that had tasks. `kernel`: copies of a notebook have the same cells, but another kernel. */
  get(kernel: string, cell: string): CellOnCluster | null {
    let best: CellOnCluster | null = null;
    for (const [cluster, { cells }] of this.followed) {
      const counts = cells.get(keyOf(kernel, cell));
      if (counts && (best === null || counts.began > best.counts.began)) {
        best = { cluster, counts };
      }
    }
    return best;
  }

  private follow(): void {
    const alive = this.unwatch ? this.clusters.list.filter(cluster => cluster.alive) : [];
    const wanted = new Set(alive.slice(0, CLUSTERS_MAX).map(({ id }) => id));
    let gone = false;
    for (const [id, { subscription }] of this.followed) {
      if (!wanted.has(id)) {
        subscription.dispose();
        this.clusters.release(id);
        this.followed.delete(id);
        gone = true;
      }
    }
    for (const id of wanted) {
      if (!this.followed.has(id)) {
        this.join(id);
      }
    }
    if (gone) {
      this.signal.emit();
    }
  }

  private join(id: string): void {
    const socket = this.clusters.acquire(id);
    const cells = new Map<string, CellCounts>();
    const subscription = socket.subscribe(
      { view: 'cells' },
      {
        told: (state, fresh) => {
          if (fresh) {
            cells.clear();
          }
          for (const counts of (state as CellsState).cells) {
            cells.set(keyOf(counts.notebook, counts.cell), counts);
          }
        },
        settled: () => {
          this.signal.emit();
        }
      }
    );
    this.followed.set(id, { socket, subscription, cells });
  }
}

function keyOf(kernel: string, cell: string): string {
  return `${kernel} ${cell}`;
}
