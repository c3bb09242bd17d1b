/** Where the parts of a graph that don't hang together stand: on shelves, so that they fill a screen and no endless strip. */
import type { Point } from './layout';

/** Between parts, and between shelves. */
export const PART_GAP = 46;

export interface Rectangle {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Fills shelf after shelf, from the left; a shelf is as high as the highest on it. */
export class Shelves {
  private x = 0;
  private height = 0;

  constructor(
    private top: number,
    private width: number
  ) {}

  /** The upper left corner for something of this size. */
  place(width: number, height: number): Point {
    if (this.x > 0 && this.x + width > this.width) {
      this.top += this.height + PART_GAP;
      this.x = 0;
      this.height = 0;
    }
    const at = { x: this.x, y: this.top };
    this.x += width + PART_GAP;
    this.height = Math.max(this.height, height);
    return at;
  }
}

/** How wide shelves are to be for all together to have this ratio of width and height. */
export function shelfWidth(
  sizes: readonly { width: number; height: number }[],
  ratio: number
): number {
  const area = sizes.reduce(
    (sum, { width, height }) => sum + (width + PART_GAP) * (height + PART_GAP),
    0
  );
  return Math.max(Math.sqrt(area * ratio), ...sizes.map(({ width }) => width));
}

/** How far down something must go so that it overlaps nothing that stands already. */
export function shiftBelow(box: Rectangle, standing: readonly Rectangle[]): number {
  let shift = 0;
  for (let moved = true; moved;) {
    moved = false;
    for (const other of standing) {
      const overlaps =
        box.left < other.right &&
        box.right > other.left &&
        box.top + shift < other.bottom + PART_GAP / 2 &&
        box.bottom + shift > other.top;
      if (overlaps) {
        shift = other.bottom + PART_GAP - box.top;
        moved = true;
      }
    }
  }
  return shift;
}
