/** The clusters that there are, and the one that all panels look at. */
import { Signal, type ISignal } from '@lumino/signaling';
import type { ClusterInfo } from '../api';
import type { ViewsSocket } from '../views';

/** What this needs of the network. */
export interface ClusterSource {
  clusters: () => Promise<ClusterInfo[]>;
  screens: (id: string) => ViewsSocket;
}

const REFRESH_MS = 3000;
const REFRESH_SOON_MS = 300;
/** While nobody watches the list, only whether there is a cluster at all matters, and that can wait. */
const REFRESH_IDLE_MS = 15_000;

export class Clusters {
  private known: ClusterInfo[] = [];
  private chosen = '';
  /** The kernel that the user works with: its own cluster is the one to look at. */
  private kernel = '';
  private kernelTaken = false;
  private loadedOnce = false;
  private failure = '';
  private begun = 0;
  private ending = new Set<string>();
  private watchers = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private soon: ReturnType<typeof setTimeout> | undefined;
  private sockets = new Map<string, { socket: ViewsSocket; users: number }>();
  private listSignal = new Signal<this, void>(this);
  private choiceSignal = new Signal<this, string>(this);

  constructor(private source: ClusterSource) {}

  get list(): readonly ClusterInfo[] {
    return this.known;
  }

  /** The id of the cluster that panels look at; empty: there is none. */
  get current(): string {
    return this.chosen;
  }

  get loaded(): boolean {
    return this.loadedOnce;
  }

  /** Why the list could not be had; empty: it could. */
  get error(): string {
    return this.failure;
  }

  /** How many are being started from here. */
  get starting(): number {
    return this.begun;
  }

  isStopping(id: string): boolean {
    return this.ending.has(id);
  }

  /** Wait for the start of a cluster, and look at it. */
  async whileStarting(work: () => Promise<ClusterInfo>): Promise<void> {
    this.begun += 1;
    this.listSignal.emit();
    try {
      const cluster = await work();
      await this.refresh();
      this.choose(cluster.id);
    } finally {
      this.begun -= 1;
      this.listSignal.emit();
    }
  }

  /** Wait for the end of a cluster. */
  async whileStopping(id: string, work: () => Promise<void>): Promise<void> {
    this.ending.add(id);
    this.listSignal.emit();
    try {
      await work();
      await this.refresh();
    } finally {
      this.ending.delete(id);
      this.listSignal.emit();
    }
  }

  get listChanged(): ISignal<this, void> {
    return this.listSignal;
  }

  get currentChanged(): ISignal<this, string> {
    return this.choiceSignal;
  }

  get(id: string): ClusterInfo | undefined {
    return this.known.find(cluster => cluster.id === id);
  }

  choose(id: string): void {
    if (id !== this.chosen) {
      this.become(id);
      this.listSignal.emit();
    }
  }

  /** The user turns to a notebook: look at its cluster, if it has one, now or as soon as it has. */
  near(kernel: string): void {
    if (kernel && kernel !== this.kernel) {
      this.kernel = kernel;
      this.kernelTaken = false;
      this.takeNear();
    }
  }

  /** Keep the list fresh until the returned function is called. */
  watch(): () => void {
    this.watchers += 1;
    void this.refresh();
    let watching = true;
    return () => {
      if (watching) {
        watching = false;
        this.watchers -= 1;
      }
    };
  }

  async refresh(): Promise<void> {
    clearTimeout(this.timer);
    try {
      this.take(await this.source.clusters());
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error);
      this.loadedOnce = true;
      this.listSignal.emit();
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => void this.refresh(),
      this.watchers ? REFRESH_MS : REFRESH_IDLE_MS
    );
  }

  /** Refresh within a moment, however often this is asked for meanwhile. */
  refreshSoon(): void {
    if (!this.soon) {
      this.soon = setTimeout(() => {
        this.soon = undefined;
        void this.refresh();
      }, REFRESH_SOON_MS);
    }
  }

  /** The websocket of a cluster, shared: give it back with `release`. */
  acquire(id: string): ViewsSocket {
    const held = this.sockets.get(id);
    if (held) {
      held.users += 1;
      return held.socket;
    }
    const socket = this.source.screens(id);
    this.sockets.set(id, { socket, users: 1 });
    return socket;
  }

  release(id: string): void {
    const held = this.sockets.get(id);
    if (held && --held.users === 0) {
      this.sockets.delete(id);
      held.socket.dispose();
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    clearTimeout(this.soon);
    for (const { socket } of this.sockets.values()) {
      socket.dispose();
    }
    this.sockets.clear();
    Signal.clearData(this);
  }

  private take(list: ClusterInfo[]): void {
    const changed =
      !this.loadedOnce ||
      this.failure !== '' ||
      JSON.stringify(list) !== JSON.stringify(this.known);
    this.known = list;
    this.failure = '';
    this.loadedOnce = true;
    this.takeNear();
    if (!list.some(cluster => cluster.id === this.chosen)) {
      this.kernelTaken = false;
      this.become((list.find(cluster => cluster.alive) ?? list.at(0))?.id ?? '');
    }
    if (changed) {
      this.listSignal.emit();
    }
  }

  /** Once for each turn to a notebook: what the user chooses afterwards stays. */
  private takeNear(): void {
    const own = this.known.find(({ alive, notebook }) => alive && notebook === this.kernel);
    if (this.kernel && own && !this.kernelTaken) {
      this.kernelTaken = true;
      this.choose(own.id);
    }
  }

  private become(id: string): void {
    if (id !== this.chosen) {
      this.chosen = id;
      this.choiceSignal.emit(id);
    }
  }
}
