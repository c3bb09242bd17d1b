/** What the panels share: the task that is singled out, the moment that is looked at, the stretch that was brushed. */
import { Signal, type ISignal } from '@lumino/signaling';

/** A stretch of the timeline, and the functions that ran in it. */
export interface Brush {
  readonly start: number;
  readonly end: number;
  readonly names: readonly string[];
}

export class Selection {
  private focused = '';
  private when: number | null = null;
  private stretch: Brush | null = null;
  private focusSignal = new Signal<this, string>(this);
  private momentSignal = new Signal<this, number | null>(this);
  private brushSignal = new Signal<this, Brush | null>(this);

  /** A task's id; empty: none. */
  get task(): string {
    return this.focused;
  }

  set task(id: string) {
    if (id !== this.focused) {
      this.focused = id;
      this.focusSignal.emit(id);
    }
  }

  /** Milliseconds since the epoch; null: now, and live. */
  get moment(): number | null {
    return this.when;
  }

  set moment(at: number | null) {
    if (at !== this.when) {
      this.when = at;
      this.momentSignal.emit(at);
    }
  }

  get brush(): Brush | null {
    return this.stretch;
  }

  set brush(brush: Brush | null) {
    if (brush !== this.stretch) {
      this.stretch = brush;
      this.brushSignal.emit(brush);
    }
  }

  get taskChanged(): ISignal<this, string> {
    return this.focusSignal;
  }

  get momentChanged(): ISignal<this, number | null> {
    return this.momentSignal;
  }

  get brushChanged(): ISignal<this, Brush | null> {
    return this.brushSignal;
  }
}
