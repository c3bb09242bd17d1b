/** A view of whichever cluster is the current one, for as long as somebody looks. */
import { Signal, type ISignal } from '@lumino/signaling';
import type { Act, View, ViewState } from '../generated/screen';
import type { Status, Subscription, ViewsSocket } from '../views';
import type { Clusters } from './clusters';

export type Condition =
  | Status
  | { kind: 'searching' }
  | { kind: 'absent' }
  | { kind: 'unreachable'; error: string }
  | { kind: 'loading' }
  | { kind: 'refused'; error: string };

export interface Follower {
  told: (state: ViewState, fresh: boolean) => void;
  settled: () => void;
  /** Another cluster: what was told before is of the past. */
  cleared: () => void;
}

export class Followed {
  private cluster = '';
  private socket: ViewsSocket | null = null;
  private subscription: Subscription | null = null;
  private looking = false;
  /** The cluster that told what is shown. */
  private told = '';
  private refusal = '';
  private unwatch: () => void = () => undefined;
  private signal = new Signal<this, Condition>(this);

  constructor(
    private clusters: Clusters,
    private wanted: View | null,
    private follower: Follower
  ) {
    clusters.currentChanged.connect(this.follow, this);
    clusters.listChanged.connect(this.report, this);
  }

  get clusterId(): string {
    return this.clusters.current;
  }

  get view(): View | null {
    return this.wanted;
  }

  /** Emits whenever what could be shown instead of the view may have changed. */
  get conditionChanged(): ISignal<this, Condition> {
    return this.signal;
  }

  get condition(): Condition {
    if (!this.clusters.loaded) {
      return { kind: 'searching' };
    }
    if (!this.clusters.current) {
      const { error } = this.clusters;
      return error ? { kind: 'unreachable', error } : { kind: 'absent' };
    }
    if (this.socket && this.socket.status.kind !== 'live') {
      return this.socket.status;
    }
    if (this.refusal) {
      return { kind: 'refused', error: this.refusal };
    }
    return this.told !== '' && this.socket ? this.socket.status : { kind: 'loading' };
  }

  /** Look, or look away: a hidden panel costs the cluster nothing. */
  look(on: boolean): void {
    if (on !== this.looking) {
      this.looking = on;
      this.unwatch();
      this.unwatch = on ? this.clusters.watch() : () => undefined;
      this.follow();
    }
  }

  show(view: View | null): void {
    this.wanted = view;
    this.refusal = '';
    if (view && this.subscription) {
      this.subscription.replace(view);
    } else {
      this.subscribe();
    }
  }

  act(action: Act['action'], target: string): Promise<void> {
    return this.socket?.act(action, target) ?? Promise.reject(new Error('There is no cluster.'));
  }

  reconnect(): void {
    this.socket?.reconnect();
    void this.clusters.refresh();
  }

  dispose(): void {
    this.look(false);
    this.clusters.currentChanged.disconnect(this.follow, this);
    this.clusters.listChanged.disconnect(this.report, this);
    Signal.clearData(this);
  }

  private follow(): void {
    const next = this.looking ? this.clusters.current : '';
    if (next !== this.cluster) {
      this.leave();
      if (next === '' && this.looking && this.told !== '') {
        this.told = '';
        this.follower.cleared();
      }
      if (next) {
        this.cluster = next;
        // A panel that comes back to the same cluster shows what it had until it is told anew.
        if (this.told !== '' && this.told !== next) {
          this.told = '';
          this.follower.cleared();
        }
        this.socket = this.clusters.acquire(next);
        this.socket.statusChanged.connect(this.report, this);
        this.subscribe();
      }
    }
    this.report();
  }

  private leave(): void {
    this.subscription?.dispose();
    this.subscription = null;
    if (this.socket) {
      this.socket.statusChanged.disconnect(this.report, this);
      this.clusters.release(this.cluster);
      this.socket = null;
    }
    this.cluster = '';
    this.refusal = '';
  }

  private subscribe(): void {
    this.subscription?.dispose();
    this.subscription = null;
    if (this.socket && this.wanted) {
      this.subscription = this.socket.subscribe(this.wanted, {
        told: (state, fresh) => {
          this.told = this.cluster;
          this.refusal = '';
          this.follower.told(state, fresh);
        },
        settled: () => {
          this.follower.settled();
          this.report();
        },
        refused: error => {
          this.refusal = error;
          this.report();
        }
      });
    }
  }

  private report(): void {
    this.signal.emit(this.condition);
  }
}
