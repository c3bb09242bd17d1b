/** A window of the run as the hub told it last, and where things are in it. Knows no screen. */
import { clean } from '../dom/clean';
import type { Lane, Spans, StoreSpans, TimelineState } from '../generated/screen';

/** Spans that overlap in one lane (an actor that does several things at once) get rows of their own, up to this many. */
const ROWS_MAX = 4;
/** How far back a span may have begun, counted in spans of its lane, and still be found under the pointer. */
const LOOK_BACK_MAX = 200;

const NO_SPANS: Spans = {
  lane: [],
  start: [],
  duration_ms: [],
  name: [],
  state: [],
  count: [],
  task: []
};

const NO_STORE: StoreSpans = {
  lane: [],
  start: [],
  duration_ms: [],
  kind: [],
  state: [],
  count: [],
  size: [],
  object: [],
  who: [],
  other: []
};

/** What a span is that stands for something in a node's store. */
export interface StoreFacts {
  kind: number;
  size: number;
  object: string;
  who: string;
  other: string;
}

/** What one function did in a stretch of time. */
export interface Share {
  name: string;
  count: number;
  failed: number;
  busyMs: number;
}

export class TimelineModel {
  start = 0;
  end = 0;
  first = 0;
  last = 0;
  lanes: Lane[] = [];
  names: string[] = [];
  spans: Spans = NO_SPANS;
  waiting: readonly (readonly [number, number, number])[] = [];
  leftOut = 0;
  /** Events of stores that are not kept any more. */
  storeDropped = 0;
  loaded = false;
  /** Of each lane: the position of its first span; one more at the end. */
  from: number[] = [0];
  /** Of each lane: how many rows its spans take. */
  rows: number[] = [];
  /** Of each span: its row in its lane. */
  row: number[] = [];
  private store: StoreSpans = NO_STORE;
  private tasks = 0;

  apply(state: TimelineState): void {
    this.start = state.start;
    this.end = state.end;
    this.first = state.first;
    this.last = state.last;
    // Names are text of others.
    this.lanes = state.lanes.map(lane => ({ ...lane, label: clean(lane.label) }));
    this.names = state.names.map(clean);
    this.take(state.spans, state.store);
    this.waiting = state.waiting;
    this.leftOut = state.left_out;
    this.storeDropped = state.store_dropped;
    this.loaded = true;
    this.index();
  }

  /** The ends of the run and its overview, where the window is of the past and does not tell them any more. */
  applyRun(state: TimelineState): void {
    this.first = state.first;
    this.last = state.last;
    this.waiting = state.waiting;
  }

  clear(): void {
    Object.assign(this, { lanes: [], names: [], waiting: [], loaded: false });
    Object.assign(this, { start: 0, end: 0, first: 0, last: 0, leftOut: 0, storeDropped: 0 });
    this.take(NO_SPANS, NO_STORE);
    this.index();
  }

  get size(): number {
    return this.spans.start.length;
  }

  /** Of a task's span, or of several. */
  nameOf(span: number): string {
    return this.names[this.spans.name[span]] ?? '?';
  }

  /** Whether a span is something in a node's store, and no task. */
  isStore(span: number): boolean {
    return span >= this.tasks;
  }

  storeOf(span: number): StoreFacts {
    const { kind, size, object, who, other } = this.store;
    const i = span - this.tasks;
    return {
      kind: kind[i] ?? -1,
      size: size[i] ?? 0,
      object: object[i] ?? '',
      who: who[i] ?? '',
      other: other[i] ?? ''
    };
  }

  /** The task that a span is; empty: it is several, or none. */
  taskOf(span: number): string {
    const single = span >= 0 && !this.isStore(span) && this.spans.count[span] === 1;
    return single ? this.spans.task[span] : '';
  }

  endOf(span: number): number {
    return this.spans.start[span] + this.spans.duration_ms[span];
  }

  /** The span at a time in a lane (and row, where it has several), -1 if there is none; `slackMs` forgives near misses. */
  at(lane: number, time: number, slackMs = 0, row = -1): number {
    if (lane < 0 || lane >= this.lanes.length) {
      return -1;
    }
    const begin = this.from[lane];
    const next = this.after(lane, time + slackMs);
    let best = -1;
    let bestMiss = Infinity;
    for (let i = next - 1; i >= Math.max(begin, next - LOOK_BACK_MAX); i--) {
      if (row >= 0 && this.row[i] !== row) {
        continue;
      }
      const miss = Math.max(0, this.spans.start[i] - time, time - this.endOf(i));
      if (miss <= slackMs && miss < bestMiss) {
        best = i;
        bestMiss = miss;
      }
      if (bestMiss === 0) {
        break;
      }
    }
    return best;
  }

  /** The next or previous span of the same lane. */
  beside(span: number, step: 1 | -1): number {
    const lane = this.spans.lane[span];
    const next = span + step;
    return next >= this.from[lane] && next < this.from[lane + 1] ? next : span;
  }

  /** The span nearest in time in the next lane that has any. */
  across(span: number, step: 1 | -1): number {
    const middle = this.spans.start[span] + this.spans.duration_ms[span] / 2;
    for (
      let lane = this.spans.lane[span] + step;
      lane >= 0 && lane < this.lanes.length;
      lane += step
    ) {
      const found = this.nearest(lane, middle);
      if (found >= 0) {
        return found;
      }
    }
    return span;
  }

  nearest(lane: number, time: number): number {
    const [begin, end] = [this.from[lane], this.from[lane + 1]];
    if (begin === end) {
      return -1;
    }
    const next = this.after(lane, time);
    const before = Math.max(begin, next - 1);
    const after = Math.min(end - 1, next);
    const missBefore = Math.max(0, time - this.endOf(before));
    const missAfter = Math.max(0, this.spans.start[after] - time);
    return missBefore <= missAfter ? before : after;
  }

  /** Where a span is now that the window was told anew; -1: it is not in it. */
  find(task: string, lane: string): number {
    if (!task) {
      return -1;
    }
    const number = this.lanes.findIndex(each => each.id === lane);
    for (let i = number < 0 ? 0 : this.from[number]; i < (this.from[number + 1] ?? 0); i++) {
      if (this.spans.task[i] === task) {
        return i;
      }
    }
    return -1;
  }

  /** What each function did between two moments, the busiest first. */
  shares(start: number, end: number): Share[] {
    const found = new Map<number, Share>();
    const { spans } = this;
    for (let i = 0; i < this.tasks; i++) {
      const overlap = Math.min(end, this.endOf(i)) - Math.max(start, spans.start[i]);
      if (overlap < 0) {
        continue;
      }
      const name = spans.name[i];
      let share = found.get(name);
      if (!share) {
        share = { name: this.names[name] ?? '?', count: 0, failed: 0, busyMs: 0 };
        found.set(name, share);
      }
      share.count += spans.count[i];
      share.failed += spans.state[i] === 5 ? spans.count[i] : 0;
      share.busyMs += overlap;
    }
    return [...found.values()].sort((a, b) => b.busyMs - a.busyMs || (a.name < b.name ? -1 : 1));
  }

  /** The first position in a lane whose span begins after a time. */
  private after(lane: number, time: number): number {
    let [low, high] = [this.from[lane], this.from[lane + 1]];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.spans.start[middle] > time) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  /** The stores' lanes come after all others, so their spans do, too. */
  private take(spans: Spans, store: StoreSpans): void {
    this.store = store;
    this.tasks = spans.start.length;
    const key = store.start.map((start, i) => `store ${store.kind[i]} ${store.object[i]} ${start}`);
    this.spans = {
      lane: [...spans.lane, ...store.lane],
      start: [...spans.start, ...store.start],
      duration_ms: [...spans.duration_ms, ...store.duration_ms],
      name: [...spans.name, ...store.kind.map(() => -1)],
      state: [...spans.state, ...store.state],
      count: [...spans.count, ...store.count],
      task: [...spans.task, ...key]
    };
  }

  private index(): void {
    const { lane, start } = this.spans;
    const total = start.length;
    this.from = new Array<number>(this.lanes.length + 1).fill(total);
    this.rows = new Array<number>(this.lanes.length).fill(1);
    this.row = new Array<number>(total).fill(0);
    let ends: number[] = [];
    let current = -1;
    for (let i = 0; i < total; i++) {
      while (current < lane[i]) {
        this.from[++current] = i;
        ends = [];
      }
      // The hub joins at the width of a pixel: what overlaps by less than rounding is in turn.
      let row = ends.findIndex(end => end <= start[i] + 0.001);
      if (row < 0) {
        row = ends.length < ROWS_MAX ? ends.length : ends.indexOf(Math.min(...ends));
      }
      ends[row] = this.endOf(i);
      this.row[i] = row;
      this.rows[current] = Math.max(this.rows[current], row + 1);
    }
  }
}
