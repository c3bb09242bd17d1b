/** Colours that canvases draw with: JupyterLab's theme, read from its CSS variables, and raynb's palette of states. */
import { TASK_STATES } from '../generated/screen';

export interface Theme {
  ground: string;
  card: string;
  hover: string;
  line: string;
  strong: string;
  text: string;
  dim: string;
  accent: string;
  font: string;
  mono: string;
  /** By position in `TASK_STATES`. */
  states: string[];
}

/** What stands for a state besides its colour, in legends and on nodes. */
export type Shape = 'ring' | 'triangle' | 'diamond' | 'play' | 'disc' | 'cross';

export interface StateLook {
  state: (typeof TASK_STATES)[number];
  label: string;
  variable: string;
  /** From Okabe and Ito's palette, which the colour-blind can tell apart. */
  color: string;
  shape: Shape;
}

export const STATES: readonly StateLook[] = [
  look(0, 'waits for its inputs', '--raynb-waiting', '#8c8c8c', 'ring'),
  look(1, 'waits for a worker', '--raynb-pending', '#e69f00', 'triangle'),
  look(2, 'sent to a worker', '--raynb-sent', '#56b4e9', 'diamond'),
  look(3, 'runs', '--raynb-running', '#0072b2', 'play'),
  look(4, 'finished', '--raynb-finished', '#009e73', 'disc'),
  look(5, 'failed', '--raynb-failed', '#d55e00', 'cross')
];

export const RUNNING = 3;
export const FINISHED = 4;
export const FAILED = 5;

/** The state that many tasks together are shown as: what is wrong or happens now comes first. */
export function mainState(counts: readonly number[]): number {
  if (counts[FAILED] > 0) {
    return FAILED;
  }
  if (counts[RUNNING] > 0) {
    return RUNNING;
  }
  const waiting = [2, 1, 0].find(state => counts[state] > 0);
  return waiting ?? FINISHED;
}

/** Colours of functions in the timeline, again Okabe and Ito's, without the one that means failed. */
export const NAME_COLORS = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#cc79a7',
  '#56b4e9',
  '#f0e442',
  '#8c8c8c',
  '#6a51a3',
  '#b07d2b',
  '#3b7a57'
];

export function readTheme(element: Element): Theme {
  const style = getComputedStyle(element);
  const read = (name: string, otherwise: string): string =>
    style.getPropertyValue(name).trim() || otherwise;
  return {
    ground: read('--jp-layout-color1', '#ffffff'),
    card: read('--jp-layout-color0', '#ffffff'),
    hover: read('--jp-layout-color2', '#eeeeee'),
    line: read('--jp-border-color1', '#bdbdbd'),
    strong: read('--jp-border-color0', '#757575'),
    text: read('--jp-ui-font-color0', '#000000'),
    dim: read('--jp-ui-font-color1', '#444444'),
    accent: read('--jp-brand-color1', '#1976d2'),
    font: read('--jp-ui-font-family', 'system-ui, sans-serif'),
    mono: read('--jp-code-font-family', 'monospace'),
    states: STATES.map(state => read(state.variable, state.color))
  };
}

/** Calls back when JupyterLab's theme has changed; returns how to stop. */
export function onThemeChange(work: () => void): () => void {
  const observer = new MutationObserver(() => {
    work();
  });
  observer.observe(document.body, {
    attributes: true,
    attributeFilter: ['data-jp-theme-light', 'data-jp-theme-name', 'class']
  });
  return () => {
    observer.disconnect();
  };
}

/** Calls `work` when the element's size changes, and once at first; the answer ends that. */
export function onResize(element: Element, work: () => void): () => void {
  const observer = new ResizeObserver(() => {
    work();
  });
  observer.observe(element);
  return () => {
    observer.disconnect();
  };
}

/** Whether nothing should move by itself: the user's system says so, or the setting does. */
export function wantsStillness(): boolean {
  return (
    matchMedia('(prefers-reduced-motion: reduce)').matches ||
    document.body.classList.contains('raynb-mod-still')
  );
}

/** Draws the sign of a state, `size` pixels wide, around a point. */
export function drawShape(
  context: CanvasRenderingContext2D,
  shape: Shape,
  x: number,
  y: number,
  size: number,
  color: string
): void {
  const r = size / 2;
  context.fillStyle = context.strokeStyle = color;
  context.lineWidth = Math.max(1.5, size / 5);
  context.beginPath();
  switch (shape) {
    case 'ring':
      context.arc(x, y, r - context.lineWidth / 2, 0, 2 * Math.PI);
      context.stroke();
      return;
    case 'cross':
      context.moveTo(x - r * 0.75, y - r * 0.75);
      context.lineTo(x + r * 0.75, y + r * 0.75);
      context.moveTo(x + r * 0.75, y - r * 0.75);
      context.lineTo(x - r * 0.75, y + r * 0.75);
      context.stroke();
      return;
    case 'disc':
      context.arc(x, y, r, 0, 2 * Math.PI);
      break;
    case 'triangle':
      context.moveTo(x, y - r);
      context.lineTo(x + r, y + r * 0.85);
      context.lineTo(x - r, y + r * 0.85);
      break;
    case 'diamond':
      context.moveTo(x, y - r);
      context.lineTo(x + r, y);
      context.lineTo(x, y + r);
      context.lineTo(x - r, y);
      break;
    case 'play':
      context.moveTo(x - r * 0.8, y - r);
      context.lineTo(x + r, y);
      context.lineTo(x - r * 0.8, y + r);
  }
  context.closePath();
  context.fill();
}

function look(
  position: number,
  label: string,
  variable: string,
  color: string,
  shape: Shape
): StateLook {
  return { state: TASK_STATES[position], label, variable, color, shape };
}
