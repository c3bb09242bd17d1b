/** Draws the lanes on a canvas. A function is its colour; what failed is hatched and crossed, what waits is thin. */
import { drawShape, FAILED, RUNNING, type Theme } from '../dom/theme';
import type { TimelineModel } from '../model/timeline';
import { inkOn, type NameColors, type NameLook } from './colors';
import { AXIS_HEIGHT, GUTTER_WIDTH, type Lanes } from './lanes';
import { storeLook, storeText } from './stores';
import { ticks, width, type Extent } from './window';

const SENT = 2;
/** Narrower spans have no name on them. */
const TEXT_WIDTH_MIN = 34;
const FADED = 0.14;
const STORE_INSET = 0.14;

export interface TimelineScene {
  model: TimelineModel;
  seen: Extent;
  lanes: Lanes;
  colors: NameColors;
  /** Positions of spans; -1: none. */
  selected: number;
  hovered: number;
  /** Only these functions in full; empty: all. */
  names: ReadonlySet<string>;
  brush: { start: number; end: number } | null;
  moment: number | null;
  width: number;
  height: number;
}

type Context = CanvasRenderingContext2D;

export function drawTimeline(
  context: Context,
  scene: TimelineScene,
  theme: Theme,
  ratio: number
): void {
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.globalAlpha = 1;
  context.fillStyle = theme.ground;
  context.fillRect(0, 0, scene.width, scene.height);
  const x = scaleOf(scene);
  context.save();
  context.beginPath();
  context.rect(GUTTER_WIDTH, 0, scene.width - GUTTER_WIDTH, scene.height);
  context.clip();
  drawGrid(context, scene, theme, x);
  drawSpans(context, scene, theme, x);
  drawMarks(context, scene, theme, x);
  context.restore();
  drawGutter(context, scene, theme);
}

/** From a time to a place on the canvas. */
export function scaleOf(scene: Pick<TimelineScene, 'seen' | 'width'>): (time: number) => number {
  const perMs = (scene.width - GUTTER_WIDTH) / Math.max(1e-9, width(scene.seen));
  const { start } = scene.seen;
  return time => GUTTER_WIDTH + (time - start) * perMs;
}

function drawGrid(
  context: Context,
  scene: TimelineScene,
  theme: Theme,
  x: (time: number) => number
): void {
  context.font = `11px ${theme.font}`;
  context.textBaseline = 'middle';
  context.textAlign = 'left';
  for (const tick of ticks(scene.seen, scene.width - GUTTER_WIDTH, scene.model.first)) {
    const at = Math.round(x(tick.at)) + 0.5;
    context.strokeStyle = theme.line;
    context.globalAlpha = 0.45;
    context.lineWidth = 1;
    line(context, at, 0, at, scene.height);
    context.globalAlpha = 1;
    context.fillStyle = theme.dim;
    context.fillText(tick.label, at + 5, AXIS_HEIGHT / 2);
  }
}

function drawSpans(
  context: Context,
  scene: TimelineScene,
  theme: Theme,
  x: (time: number) => number
): void {
  const { model, seen, lanes, names } = scene;
  const { spans } = model;
  context.save();
  context.beginPath();
  context.rect(GUTTER_WIDTH, AXIS_HEIGHT, scene.width - GUTTER_WIDTH, scene.height - AXIS_HEIGHT);
  context.clip();
  context.font = `11px ${theme.font}`;
  const painter = new Painter(context, theme);
  for (let i = 0; i < spans.start.length; i++) {
    if (spans.start[i] > seen.end || model.endOf(i) < seen.start) {
      continue;
    }
    const place = lanes.place(spans.lane[i], model.row[i]);
    if (place.top > scene.height || place.top + place.height < AXIS_HEIGHT) {
      continue;
    }
    const left = Math.max(GUTTER_WIDTH - 2, x(spans.start[i]));
    const right = Math.min(scene.width + 2, x(model.endOf(i)));
    const wide = Math.max(1, right - left - (right - left > 3 ? 1 : 0));
    const box = { left, top: place.top + 1, wide, high: place.height - 2 };
    if (model.isStore(i)) {
      context.globalAlpha = 1;
      // Lower than tasks, whose colours mean something else; what is over in no time is to be seen, too.
      box.top += box.high * STORE_INSET;
      box.high *= 1 - 2 * STORE_INSET;
      box.wide = Math.max(2, wide);
      painter.span(box, storeLookOf(model, i), spans.state[i], storeText(model, i));
    } else {
      const name = model.nameOf(i);
      context.globalAlpha = names.size && !names.has(name) ? FADED : 1;
      const many = spans.count[i];
      painter.span(
        box,
        scene.colors.of(name),
        spans.state[i],
        many > 1 ? `${name} ×${many}` : name
      );
    }
    if (i === scene.selected || i === scene.hovered) {
      painter.frame(box, i === scene.selected);
    }
  }
  context.restore();
}

function storeLookOf(model: TimelineModel, span: number): NameLook {
  const { color } = storeLook(model.storeOf(span).kind);
  return { color, ink: inkOn(color), round: 0 };
}

interface Box {
  left: number;
  top: number;
  wide: number;
  high: number;
}

/** Draws one span after the other on the same canvas. */
class Painter {
  private fitting = new Map<string, number>();

  constructor(
    private context: Context,
    private theme: Theme
  ) {}

  span(box: Box, look: NameLook, state: number, words: string): void {
    const { context, theme } = this;
    if (state === SENT) {
      const thin = { ...box, top: box.top + box.high * 0.36, high: Math.max(2, box.high * 0.28) };
      context.fillStyle = theme.states[SENT];
      context.fillRect(thin.left, thin.top, thin.wide, thin.high);
      return;
    }
    context.fillStyle = state === FAILED ? theme.states[FAILED] : look.color;
    context.fillRect(box.left, box.top, box.wide, box.high);
    if (state === FAILED) {
      this.hatch(box, theme.ground, 6);
    } else if (look.round > 0 && box.wide > 4) {
      this.stripes(box, look);
    }
    if (state === RUNNING && box.wide > 3) {
      // Its end is open.
      context.fillStyle = theme.text;
      context.fillRect(box.left + box.wide - 2.5, box.top, 2.5, box.high);
    }
    if (state === FAILED && box.wide >= 13 && box.high >= 11) {
      this.badge(box);
    }
    if (box.wide >= TEXT_WIDTH_MIN && box.high >= 11) {
      this.text(box, look, state, words);
    }
  }

  frame(box: Box, strong: boolean): void {
    const { context, theme } = this;
    context.globalAlpha = 1;
    context.lineWidth = strong ? 2.5 : 1.5;
    context.strokeStyle = strong ? theme.accent : theme.text;
    context.strokeRect(box.left - 1, box.top - 1, Math.max(3, box.wide + 2), box.high + 2);
  }

  /** Lines aslant: only as far as there is something to see. */
  private hatch(box: Box, color: string, apart: number): void {
    const { context } = this;
    if (box.wide < 3) {
      return;
    }
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.wide, box.high);
    context.clip();
    context.strokeStyle = color;
    context.lineWidth = 1.4;
    context.beginPath();
    for (let at = box.left - box.high; at < box.left + box.wide; at += apart) {
      context.moveTo(at, box.top + box.high);
      context.lineTo(at + box.high, box.top);
    }
    context.stroke();
    context.restore();
  }

  private stripes(box: Box, look: NameLook): void {
    this.context.fillStyle = look.ink;
    for (let k = 0; k < look.round && k < 3; k++) {
      this.context.fillRect(box.left, box.top + box.high - 2 - 3 * k, box.wide, 1);
    }
  }

  private badge(box: Box): void {
    const { context, theme } = this;
    context.fillStyle = theme.ground;
    context.beginPath();
    context.arc(box.left + 7.5, box.top + box.high / 2, 5.5, 0, 2 * Math.PI);
    context.fill();
    drawShape(context, 'cross', box.left + 7.5, box.top + box.high / 2, 7, theme.states[FAILED]);
  }

  private text(box: Box, look: NameLook, state: number, text: string): void {
    const { context, theme } = this;
    const indent = state === FAILED ? 16 : 5;
    const room = box.wide - indent - 4;
    const shown = this.cut(text, room);
    if (!shown) {
      return;
    }
    const middle = box.top + box.high / 2 + 0.5;
    context.textAlign = 'left';
    context.textBaseline = 'middle';
    if (state === FAILED) {
      const wide = context.measureText(shown).width;
      context.fillStyle = theme.ground;
      context.fillRect(box.left + indent - 2, middle - 7, wide + 4, 14);
      context.fillStyle = theme.text;
    } else {
      context.fillStyle = look.ink;
    }
    context.fillText(shown, box.left + indent, middle);
  }

  private cut(text: string, room: number): string {
    const whole = this.measure(text);
    if (whole <= room) {
      return text;
    }
    const letters = Math.floor((text.length * (room - this.measure('…'))) / whole);
    return letters >= 3 ? `${text.slice(0, letters)}…` : '';
  }

  private measure(text: string): number {
    let found = this.fitting.get(text);
    if (found === undefined) {
      found = this.context.measureText(text).width;
      this.fitting.set(text, found);
    }
    return found;
  }
}

function drawMarks(
  context: Context,
  scene: TimelineScene,
  theme: Theme,
  x: (time: number) => number
): void {
  if (scene.brush) {
    const [left, right] = [x(scene.brush.start), x(scene.brush.end)];
    context.globalAlpha = 0.14;
    context.fillStyle = theme.accent;
    context.fillRect(left, 0, right - left, scene.height);
    context.globalAlpha = 1;
    context.strokeStyle = theme.accent;
    context.lineWidth = 1.5;
    line(context, left, 0, left, scene.height);
    line(context, right, 0, right, scene.height);
  }
  if (scene.moment !== null) {
    const at = x(scene.moment);
    context.strokeStyle = theme.text;
    context.lineWidth = 2;
    context.setLineDash([5, 3]);
    line(context, at, 0, at, scene.height);
    context.setLineDash([]);
  }
}

function drawGutter(context: Context, scene: TimelineScene, theme: Theme): void {
  const { lanes, model } = scene;
  context.globalAlpha = 1;
  context.fillStyle = theme.ground;
  context.fillRect(0, 0, GUTTER_WIDTH - 1, scene.height);
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  line(context, GUTTER_WIDTH - 0.5, 0, GUTTER_WIDTH - 0.5, scene.height);
  line(context, 0, AXIS_HEIGHT - 0.5, scene.width, AXIS_HEIGHT - 0.5);
  context.save();
  context.beginPath();
  context.rect(0, AXIS_HEIGHT, GUTTER_WIDTH - 6, scene.height - AXIS_HEIGHT);
  context.clip();
  context.textAlign = 'left';
  context.textBaseline = 'middle';
  model.lanes.forEach((lane, i) => {
    const { top, height } = lanes.place(i);
    if (lane.kind === 'store' && model.lanes[i - 1]?.kind !== 'store' && i > 0) {
      context.strokeStyle = theme.line;
      line(context, 0, top - 2.5, GUTTER_WIDTH, top - 2.5);
    }
    if (top > scene.height || top + height * model.rows[i] < AXIS_HEIGHT) {
      return;
    }
    const middle = top + height / 2 + 0.5;
    context.fillStyle = !lane.alive ? theme.line : theme.dim;
    laneMark(context, lane.kind, 11, middle, lane.alive);
    context.font = `${lane.kind === 'actor' ? '600 ' : ''}12px ${theme.font}`;
    context.fillStyle = !lane.alive ? theme.dim : theme.text;
    const label = lane.alive ? lane.label : `${lane.label} (ended)`;
    context.fillText(cut(context, label, GUTTER_WIDTH - 32), 22, middle);
  });
  context.restore();
}

function cut(context: Context, text: string, room: number): string {
  const wide = context.measureText(text).width;
  return wide <= room ? text : `${text.slice(0, Math.floor((text.length * room) / wide) - 1)}…`;
}

/** A worker is a dot, an actor a square, a store a diamond; hollow where it has ended. */
function laneMark(context: Context, kind: string, x: number, y: number, alive: boolean): void {
  context.beginPath();
  if (kind === 'actor') {
    context.rect(x - 4, y - 4, 8, 8);
  } else if (kind === 'store') {
    context.moveTo(x, y - 5);
    context.lineTo(x + 5, y);
    context.lineTo(x, y + 5);
    context.lineTo(x - 5, y);
    context.closePath();
  } else {
    context.arc(x, y, 3.5, 0, 2 * Math.PI);
  }
  if (alive) {
    context.fill();
  } else {
    context.lineWidth = 1.5;
    context.strokeStyle = context.fillStyle;
    context.stroke();
  }
}

function line(context: Context, x1: number, y1: number, x2: number, y2: number): void {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}
