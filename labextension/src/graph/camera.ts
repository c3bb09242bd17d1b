/** Where a view looks: the point in its middle, and how many pixels one unit of the world takes. */
import type { Point } from './layout';

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const ZOOM_MIN = 0.05;
const ZOOM_MAX = 3;

export class Camera {
  x = 0;
  y = 0;
  zoom = 1;
  width = 1;
  height = 1;

  toScreen(point: Point): Point {
    return {
      x: (point.x - this.x) * this.zoom + this.width / 2,
      y: (point.y - this.y) * this.zoom + this.height / 2
    };
  }

  toWorld(point: Point): Point {
    return {
      x: (point.x - this.width / 2) / this.zoom + this.x,
      y: (point.y - this.height / 2) / this.zoom + this.y
    };
  }

  pan(dx: number, dy: number): void {
    this.x -= dx / this.zoom;
    this.y -= dy / this.zoom;
  }

  /** Zoom so that what is under `at` stays there. */
  zoomAt(factor: number, at: Point = { x: this.width / 2, y: this.height / 2 }): void {
    const fixed = this.toWorld(at);
    this.zoom = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, this.zoom * factor));
    const moved = this.toWorld(at);
    this.x += fixed.x - moved.x;
    this.y += fixed.y - moved.y;
  }

  /** Show all of a box; never larger than life. */
  fit(box: Box, margin = 40): void {
    this.x = (box.left + box.right) / 2;
    this.y = (box.top + box.bottom) / 2;
    const across = (this.width - 2 * margin) / Math.max(1, box.right - box.left);
    const down = (this.height - 2 * margin) / Math.max(1, box.bottom - box.top);
    this.zoom = Math.min(1.25, Math.max(ZOOM_MIN, Math.min(across, down)));
  }

  /** Move as little as shows a box with some room around. */
  reveal(box: Box, margin = 30): void {
    const from = this.toScreen({ x: box.left, y: box.top });
    const to = this.toScreen({ x: box.right, y: box.bottom });
    const dx = from.x < margin ? margin - from.x : Math.min(0, this.width - margin - to.x);
    const dy = from.y < margin ? margin - from.y : Math.min(0, this.height - margin - to.y);
    this.pan(dx, dy);
  }
}
