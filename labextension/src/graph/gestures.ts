/** What a person does to a graph by pointer and by keys, told in the graph's own words. */
import type { Point } from './layout';

export interface Gestures {
  /** The node under a point of the canvas; empty: none. */
  hit: (at: Point) => string;
  hover: (id: string) => void;
  select: (id: string) => void;
  /** Shift and click, or E. */
  expand: (id: string) => void;
  /** Double click, or Enter. */
  open: (id: string) => void;
  panBy: (dx: number, dy: number) => void;
  zoomBy: (factor: number, at?: Point) => void;
  fit: () => void;
  /** To the node that stands there as seen from the selected one, or to the first. */
  go: (way: Way) => void;
  focus: () => void;
  selected: () => string;
}

export type Way = 'left' | 'right' | 'up' | 'down' | 'first';

/** Farther than this a press is a drag, in CSS pixels. */
const DRAG_MIN = 4;
const PAN_STEP = 60;
const ARROWS: Partial<Record<string, { way: Way; pan: [number, number] }>> = {
  ArrowLeft: { way: 'left', pan: [PAN_STEP, 0] },
  ArrowRight: { way: 'right', pan: [-PAN_STEP, 0] },
  ArrowUp: { way: 'up', pan: [0, PAN_STEP] },
  ArrowDown: { way: 'down', pan: [0, -PAN_STEP] }
};

export function listenToPointer(canvas: HTMLCanvasElement, told: Gestures): void {
  let pressed: Point | null = null;
  let dragged = false;
  const hit = (event: MouseEvent): string => told.hit({ x: event.offsetX, y: event.offsetY });
  canvas.addEventListener('pointerdown', event => {
    if (event.button === 0) {
      pressed = { x: event.clientX, y: event.clientY };
      dragged = false;
      canvas.setPointerCapture(event.pointerId);
      told.focus();
      event.preventDefault();
    }
  });
  canvas.addEventListener('pointermove', event => {
    if (pressed && event.buttons & 1) {
      const [dx, dy] = [event.clientX - pressed.x, event.clientY - pressed.y];
      dragged ||= Math.hypot(dx, dy) > DRAG_MIN;
      if (dragged) {
        told.panBy(dx, dy);
        pressed = { x: event.clientX, y: event.clientY };
      }
    } else {
      told.hover(hit(event));
    }
  });
  canvas.addEventListener('pointerup', event => {
    if (pressed && !dragged) {
      const id = hit(event);
      told.select(id);
      if (id && event.shiftKey) {
        told.expand(id);
      }
    }
    pressed = null;
  });
  canvas.addEventListener('pointercancel', () => {
    pressed = null;
  });
  canvas.addEventListener('pointerleave', () => {
    told.hover('');
  });
  canvas.addEventListener('dblclick', event => {
    const id = hit(event);
    if (id) {
      told.open(id);
    }
  });
  canvas.addEventListener(
    'wheel',
    event => {
      event.preventDefault();
      const step = event.deltaMode === 1 ? 30 : 1;
      const factor = Math.exp(-event.deltaY * step * (event.ctrlKey ? 0.01 : 0.0015));
      told.zoomBy(factor, { x: event.offsetX, y: event.offsetY });
    },
    { passive: false }
  );
}

export function listenToKeys(node: HTMLElement, told: Gestures): void {
  node.addEventListener('keydown', event => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && key(event, told)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
}

/** Whether the key means something here. */
function key(event: KeyboardEvent, told: Gestures): boolean {
  const arrow = ARROWS[event.key];
  if (arrow) {
    if (event.shiftKey) {
      told.panBy(...arrow.pan);
    } else {
      told.go(arrow.way);
    }
    return true;
  }
  switch (event.key) {
    case 'Home':
      told.go('first');
      return true;
    case '+':
    case '=':
      told.zoomBy(1.25);
      return true;
    case '-':
      told.zoomBy(0.8);
      return true;
    case '0':
      told.fit();
      return true;
    case 'Escape':
      told.select('');
      return true;
    case 'Enter':
    case 'e':
      if (told.selected()) {
        told[event.key === 'e' ? 'expand' : 'open'](told.selected());
      }
      return true;
    default:
      return false;
  }
}
