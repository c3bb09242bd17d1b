/** What the panels share: the task or function that is singled out, and the moment that is looked at. */
import { Signal, type ISignal } from '@lumino/signaling';

export class Selection {
  private focused = '';
  private when: number | null = null;
  private focusSignal = new Signal<this, string>(this);
  private momentSignal = new Signal<this, number | null>(this);

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

  get taskChanged(): ISignal<this, string> {
    return this.focusSignal;
  }

  get momentChanged(): ISignal<this, number | null> {
    return this.momentSignal;
  }
}
