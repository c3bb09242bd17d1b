/**
 * The websocket that screens are told through: one a cluster, shared by everything that looks at it.
 *
 * It keeps what is subscribed over reconnections, subscribes again where a message was missed, and hands
 * what came to its subscribers once an animation frame. What nobody fetches (a hidden tab has no frames)
 * is not piled up: past a bound the subscription starts afresh.
 */
import { Signal, type ISignal } from '@lumino/signaling';
import {
  SCREEN_PROTOCOL,
  type Act,
  type Told,
  type View,
  type ViewState
} from './generated/screen';

/** Messages of one subscription that wait for a frame, at most. */
const QUEUE_MAX = 64;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 10_000;

export type Status =
  | { kind: 'connecting' }
  | { kind: 'live'; version: string }
  | { kind: 'lost'; attempts: number }
  | { kind: 'mismatch'; protocol: number; version: string };

/** What a subscriber does with what it is told. `fresh`: the state is a whole one, not a change. */
export interface Subscriber {
  told: (state: ViewState, fresh: boolean) => void;
  /** Once a frame, after all `told` of that frame. */
  settled?: () => void;
  refused?: (error: string) => void;
}

/** What the socket needs from its surroundings; tests bring their own. */
export interface Surroundings {
  open: () => WebSocket;
  frame: (work: () => void) => void;
  later: (work: () => void, ms: number) => void;
}

export const BROWSER: Omit<Surroundings, 'open'> = {
  frame: work => void requestAnimationFrame(work),
  later: (work, ms) => void setTimeout(work, ms)
};

interface Entry {
  view: View;
  subscriber: Subscriber;
  /** Of the last message; -1 until the snapshot is here. */
  seq: number;
  queue: { state: ViewState; fresh: boolean }[];
}

export class Subscription {
  constructor(
    private socket: ViewsSocket,
    private number: number
  ) {}

  get id(): number {
    return this.number;
  }

  /** Look at something else from now on. */
  replace(view: View): void {
    this.number = this.socket.replace(this.number, view);
  }

  dispose(): void {
    this.socket.unsubscribe(this.id);
  }
}

export class ViewsSocket {
  private socket: WebSocket | null = null;
  private entries = new Map<number, Entry>();
  private acts = new Map<number, { done: () => void; failed: (error: Error) => void }>();
  private numbers = 0;
  private attempts = 0;
  private disposed = false;
  private framed = false;
  private current: Status = { kind: 'connecting' };
  private changed = new Signal<this, Status>(this);

  constructor(private surroundings: Surroundings) {
    this.connect();
  }

  get status(): Status {
    return this.current;
  }

  get statusChanged(): ISignal<this, Status> {
    return this.changed;
  }

  subscribe(view: View, subscriber: Subscriber): Subscription {
    const id = ++this.numbers;
    this.entries.set(id, { view, subscriber, seq: -1, queue: [] });
    this.ask(id);
    return new Subscription(this, id);
  }

  /** Gives the subscription another number: what is under way under the old one is of what was looked at before. */
  replace(id: number, view: View): number {
    const entry = this.entries.get(id);
    if (!entry) {
      return id;
    }
    this.unsubscribe(id);
    const next = ++this.numbers;
    this.entries.set(next, { ...entry, view, seq: -1, queue: [] });
    this.ask(next);
    return next;
  }

  unsubscribe(id: number): void {
    if (this.entries.delete(id)) {
      this.send({ type: 'unsubscribe', id });
    }
  }

  /** Cancel, retry, free ...; rejects with the reason where it was not done. */
  act(action: Act['action'], target: string): Promise<void> {
    if (this.current.kind !== 'live') {
      return Promise.reject(new Error('The cluster is not connected.'));
    }
    const id = ++this.numbers;
    return new Promise((done, failed) => {
      this.acts.set(id, { done, failed });
      this.send({ type: 'act', id, action, target });
    });
  }

  /** Resolves when there is a connection; rejects when there will be none. */
  whenLive(timeoutMs = 10_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.current.kind === 'live') {
          this.changed.disconnect(look);
          resolve();
        } else if (this.current.kind === 'mismatch') {
          this.changed.disconnect(look);
          reject(
            new Error('The cluster speaks another version of the protocol. Reload this page.')
          );
        }
      };
      this.changed.connect(look);
      look();
      this.surroundings.later(() => {
        this.changed.disconnect(look);
        reject(new Error('The cluster does not answer.'));
      }, timeoutMs);
    });
  }

  /** Try again now, not when the next attempt is due. */
  reconnect(): void {
    if (!this.disposed && this.current.kind === 'lost') {
      this.attempts = 0;
      this.connect();
    }
  }

  dispose(): void {
    this.disposed = true;
    this.entries.clear();
    this.failActs('The panel was closed.');
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    Signal.clearData(this);
  }

  private connect(): void {
    this.become(this.attempts ? { kind: 'lost', attempts: this.attempts } : { kind: 'connecting' });
    const socket = this.surroundings.open();
    this.socket = socket;
    // Events of a socket that was replaced meanwhile say nothing about this one.
    socket.onmessage = event => {
      if (this.socket === socket && typeof event.data === 'string') {
        this.take(JSON.parse(event.data) as Told);
      }
    };
    socket.onclose = () => {
      if (this.socket === socket) {
        this.lose();
      }
    };
  }

  private lose(): void {
    this.socket = null;
    this.failActs('The connection to the cluster was lost before it answered.');
    if (this.disposed || this.current.kind === 'mismatch') {
      return;
    }
    this.attempts += 1;
    this.become({ kind: 'lost', attempts: this.attempts });
    const wait = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (this.attempts - 1));
    const attempt = this.attempts;
    this.surroundings.later(() => {
      if (!this.disposed && this.socket === null && this.attempts === attempt) {
        this.connect();
      }
    }, wait);
  }

  private take(told: Told): void {
    switch (told.type) {
      case 'welcome':
        this.welcome(told.protocol, told.raynb_version);
        break;
      case 'snapshot':
        this.receive(told.id, 0, told.state, true);
        break;
      case 'delta':
        this.receive(told.id, told.seq, told.state, false);
        break;
      case 'refused':
        this.entries.get(told.id)?.subscriber.refused?.(told.error);
        break;
      case 'done': {
        const act = this.acts.get(told.id);
        this.acts.delete(told.id);
        if (told.error) {
          act?.failed(new Error(told.error));
        } else {
          act?.done();
        }
      }
    }
  }

  private welcome(protocol: number, version: string): void {
    if (protocol !== SCREEN_PROTOCOL) {
      this.become({ kind: 'mismatch', protocol, version });
      this.socket?.close();
      return;
    }
    this.attempts = 0;
    this.become({ kind: 'live', version });
    for (const id of this.entries.keys()) {
      this.ask(id);
    }
  }

  private receive(id: number, seq: number, state: ViewState, fresh: boolean): void {
    const entry = this.entries.get(id);
    if (!entry) {
      return;
    }
    if (fresh) {
      entry.queue = [];
    } else if (entry.seq < 0) {
      return; // of what was looked at before: the snapshot is on its way
    } else if (seq !== entry.seq + 1 || entry.queue.length >= QUEUE_MAX) {
      this.ask(id);
      return;
    } else if (isWhole(state)) {
      entry.queue = [];
    }
    entry.seq = seq;
    entry.queue.push({ state, fresh });
    if (!this.framed) {
      this.framed = true;
      this.surroundings.frame(() => {
        this.hand();
      });
    }
  }

  private hand(): void {
    this.framed = false;
    for (const entry of [...this.entries.values()]) {
      const queue = entry.queue;
      if (queue.length) {
        entry.queue = [];
        for (const { state, fresh } of queue) {
          entry.subscriber.told(state, fresh);
        }
        entry.subscriber.settled?.();
      }
    }
  }

  private ask(id: number): void {
    const entry = this.entries.get(id);
    if (entry && this.current.kind === 'live') {
      entry.seq = -1;
      this.send({ type: 'subscribe', id, view: entry.view });
    }
  }

  private send(message: object): void {
    if (this.current.kind === 'live') {
      this.socket?.send(JSON.stringify(message));
    }
  }

  private become(status: Status): void {
    this.current = status;
    this.changed.emit(status);
  }

  private failActs(reason: string): void {
    const acts = [...this.acts.values()];
    this.acts.clear();
    for (const act of acts) {
      act.failed(new Error(reason));
    }
  }
}

/** Whether a later state makes an earlier one superfluous. */
function isWhole(state: ViewState): boolean {
  return state.view !== 'graph' && state.view !== 'cells';
}
