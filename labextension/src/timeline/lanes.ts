/** Where the lanes are on the canvas: from top to bottom, as high as there is room, scrolled where there isn't. Pure. */

export const AXIS_HEIGHT = 24;
export const GUTTER_WIDTH = 148;
const ROW_MIN = 13;
const ROW_MAX = 26;
const GAP = 5;

export interface Row {
  top: number;
  height: number;
}

export class Lanes {
  /** Of each lane, from the top of the first. */
  tops: number[] = [];
  rowHeight = ROW_MAX;
  scroll = 0;
  private rows: readonly number[] = [];
  private room = 0;

  /** `rows`: how many rows each lane has; `height`: of the canvas. */
  arrange(rows: readonly number[], height: number): void {
    this.rows = rows;
    this.room = Math.max(0, height - AXIS_HEIGHT);
    const total = rows.reduce((sum, each) => sum + each, 0);
    const fitting = (this.room - GAP * (rows.length + 1)) / Math.max(1, total);
    this.rowHeight = Math.floor(Math.min(ROW_MAX, Math.max(ROW_MIN, fitting)));
    let top = GAP;
    this.tops = rows.map(each => {
      const at = top;
      top += each * this.rowHeight + GAP;
      return at;
    });
    this.tops.push(top);
    this.scrollTo(this.scroll);
  }

  get scrollMax(): number {
    return Math.max(0, (this.tops[this.rows.length] ?? 0) - this.room);
  }

  scrollTo(scroll: number): void {
    this.scroll = Math.min(this.scrollMax, Math.max(0, scroll));
  }

  /** Scroll as little as shows a lane. */
  reveal(lane: number): void {
    const top = this.tops[lane] - GAP;
    const bottom = this.tops[lane + 1];
    if (top < this.scroll) {
      this.scrollTo(top);
    } else if (bottom > this.scroll + this.room) {
      this.scrollTo(bottom - this.room);
    }
  }

  /** A row of a lane on the canvas. */
  place(lane: number, row = 0): Row {
    return {
      top: AXIS_HEIGHT + this.tops[lane] + row * this.rowHeight - this.scroll,
      height: this.rowHeight
    };
  }

  /** Which lane and row is at a height of the canvas; lane -1: none. */
  at(y: number): { lane: number; row: number } {
    const inside = y - AXIS_HEIGHT + this.scroll;
    if (y >= AXIS_HEIGHT) {
      for (let lane = 0; lane < this.rows.length; lane++) {
        const row = Math.floor((inside - this.tops[lane]) / this.rowHeight);
        if (row >= 0 && row < this.rows[lane]) {
          return { lane, row };
        }
      }
    }
    return { lane: -1, row: -1 };
  }
}
