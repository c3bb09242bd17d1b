/** What pointers and keys do in the timeline. */
import type { TimelineView } from './view';
import { width, type Extent } from './window';

/** So far a press may move and still be a click. */
const CLICK_PIXELS = 4;
const PAN_PIXELS = 80;

export function listenToPointer(view: TimelineView): void {
  const { canvas } = view;
  let pressed: { x: number; y: number; time: number; brushes: boolean } | null = null;
  let dragged = false;
  canvas.addEventListener('pointerdown', event => {
    if (event.button === 0) {
      const { offsetX: x, offsetY: y, shiftKey: brushes } = event;
      pressed = { x, y, time: view.timeAt(x), brushes };
      dragged = false;
      canvas.setPointerCapture(event.pointerId);
      view.list.node.focus({ preventScroll: true });
      event.preventDefault();
    }
  });
  canvas.addEventListener('pointermove', event => {
    const { offsetX: x, offsetY: y } = event;
    if (!pressed || !(event.buttons & 1)) {
      const span = view.hit(x, y);
      canvas.style.cursor = span >= 0 ? 'pointer' : event.shiftKey ? 'crosshair' : '';
      view.hover(span, x, y);
      return;
    }
    dragged ||= Math.hypot(x - pressed.x, y - pressed.y) > CLICK_PIXELS;
    if (!dragged) {
      return;
    }
    view.hover(-1);
    if (pressed.brushes) {
      view.setBrush(between(pressed.time, view.timeAt(x)));
    } else {
      view.panBy(x - pressed.x);
      view.scrollBy(pressed.y - y);
      pressed = { ...pressed, x, y };
    }
  });
  canvas.addEventListener('pointerup', event => {
    if (pressed && !dragged) {
      view.select(view.hit(event.offsetX, event.offsetY));
      if (view.selection < 0 && !pressed.brushes) {
        view.setBrush(null);
      }
    }
    pressed = null;
  });
  canvas.addEventListener('pointercancel', () => (pressed = null));
  canvas.addEventListener('pointerleave', () => {
    view.hover(-1);
  });
  canvas.addEventListener('dblclick', event => {
    const span = view.hit(event.offsetX, event.offsetY);
    if (span >= 0) {
      view.events.opened(span);
    }
  });
  canvas.addEventListener('wheel', event => wheel(view, event), { passive: false });
}

/** Up and down zooms, as in the task graph; sideways pans; with Shift the lanes scroll. */
function wheel(view: TimelineView, event: WheelEvent): void {
  event.preventDefault();
  const step = event.deltaMode === 1 ? 30 : 1;
  if (event.shiftKey && event.deltaY) {
    view.scrollBy(event.deltaY * step);
  } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    view.panBy(-event.deltaX * step);
  } else {
    const factor = Math.exp(-event.deltaY * step * (event.ctrlKey ? 0.01 : 0.0015));
    view.zoomBy(factor, view.timeAt(event.offsetX));
  }
  view.hover(-1);
}

export function listenToKeys(view: TimelineView): void {
  view.list.node.addEventListener('keydown', event => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && key(view, event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  view.list.node.addEventListener('focus', () => {
    if (view.selection < 0 && view.list.node.matches(':focus-visible')) {
      selectFirst(view);
    }
  });
}

function key(view: TimelineView, event: KeyboardEvent): boolean {
  if (event.shiftKey && event.key.startsWith('Arrow')) {
    const across = { ArrowLeft: PAN_PIXELS, ArrowRight: -PAN_PIXELS }[event.key] ?? 0;
    const down = { ArrowUp: -PAN_PIXELS, ArrowDown: PAN_PIXELS }[event.key] ?? 0;
    view.panBy(across);
    view.scrollBy(down);
    return true;
  }
  const { model, selection } = view;
  switch (event.key) {
    case 'ArrowLeft':
    case 'ArrowRight':
      return go(view, model.beside(selection, event.key === 'ArrowLeft' ? -1 : 1));
    case 'ArrowUp':
    case 'ArrowDown':
      return go(view, model.across(selection, event.key === 'ArrowUp' ? -1 : 1));
    case 'Home':
    case 'End': {
      const lane = selection < 0 ? 0 : model.spans.lane[selection];
      return go(view, event.key === 'Home' ? model.from[lane] : model.from[lane + 1] - 1);
    }
    case '+':
    case '=':
    case '-':
      view.zoomBy(event.key === '-' ? 1 / 1.5 : 1.5, middle(view));
      return true;
    case '0':
      view.fit();
      return true;
    case '[':
    case ']':
      return brushTo(view, event.key === '[');
    case 'Escape':
      if (selection >= 0) {
        view.select(-1);
      } else {
        view.setBrush(null);
      }
      return true;
    case 'Enter':
      if (selection >= 0) {
        view.events.opened(selection);
      }
      return true;
    default:
      return false;
  }
}

/** Without a selection any of these keys selects the first span that is seen. */
function go(view: TimelineView, span: number): boolean {
  if (view.selection < 0) {
    selectFirst(view);
  } else if (span >= 0 && span < view.model.size) {
    view.select(span, true);
  }
  return true;
}

function selectFirst(view: TimelineView): void {
  const { model, seen } = view;
  for (let lane = 0; lane < model.lanes.length; lane++) {
    const span = model.nearest(lane, seen.start);
    if (span >= 0) {
      view.select(span, true);
      return;
    }
  }
}

/** Zooming by keys keeps the selected span where it is, if it is seen. */
function middle(view: TimelineView): number | undefined {
  const { model, selection, seen } = view;
  if (selection < 0) {
    return undefined;
  }
  const start = Math.max(seen.start, model.spans.start[selection]);
  const end = Math.min(seen.end, model.endOf(selection));
  return start <= end ? (start + end) / 2 : undefined;
}

/** `[` has the brush begin where the selected span begins, `]` end where it ends. */
function brushTo(view: TimelineView, begins: boolean): boolean {
  const { model, selection, seen, brush } = view;
  if (selection >= 0) {
    const start = begins ? model.spans.start[selection] : (brush?.start ?? seen.start);
    const end = begins ? (brush?.end ?? seen.end) : model.endOf(selection);
    view.setBrush(between(start, end));
  }
  return true;
}

function between(a: number, b: number): Extent {
  const extent = a < b ? { start: a, end: b } : { start: b, end: a };
  return width(extent) > 0 ? extent : { start: a, end: a + 1e-3 };
}
