/** Draws a graph on a canvas: cards for nodes, curves for edges. Knows nothing of where events or data come from. */
import type { GraphEdge, GraphNode } from '../generated/screen';
import { drawShape, FAILED, FINISHED, RUNNING, STATES, type Theme } from '../dom/theme';
import { count, duration, shortCount, total } from '../dom/words';
import type { Camera } from './camera';
import { edgeKey, NODE_HEIGHT, NODE_WIDTH, type Point } from './layout';

const HALF_W = NODE_WIDTH / 2;
const HALF_H = NODE_HEIGHT / 2;
const RADIUS = 9;
/** Below this zoom text can't be read: cards become blocks of colour. */
const ZOOM_TEXT = 0.42;
const FADED = 0.16;

export interface Scene {
  nodes: Iterable<GraphNode>;
  edges: Iterable<GraphEdge>;
  places: Map<string, Point>;
  routes: Map<string, Point[]>;
  selected: string;
  hovered: string;
  /** What belongs to the hovered or selected node; null: nothing is singled out. */
  lit: Set<string> | null;
  critical: Set<string> | null;
  /** 0..1, the pulse of what runs; -1: it is still. */
  pulse: number;
}

/** The state that a node is shown as: what is wrong or happens now comes first. */
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

export function drawScene(
  context: CanvasRenderingContext2D,
  scene: Scene,
  camera: Camera,
  theme: Theme,
  ratio: number
): void {
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = theme.ground;
  context.fillRect(0, 0, camera.width, camera.height);
  const origin = camera.toScreen({ x: 0, y: 0 });
  const scale = ratio * camera.zoom;
  context.setTransform(scale, 0, 0, scale, ratio * origin.x, ratio * origin.y);
  const plain: GraphEdge[] = [];
  const loud: GraphEdge[] = [];
  for (const edge of scene.edges) {
    const lit = scene.lit === null || (scene.lit.has(edge.source) && scene.lit.has(edge.target));
    (lit && (scene.lit !== null || isCritical(scene, edge)) ? loud : plain).push(edge);
  }
  for (const edge of [...plain, ...loud]) {
    drawEdge(context, scene, edge, camera, theme);
  }
  const corner = camera.toWorld({ x: 0, y: 0 });
  const far = camera.toWorld({ x: camera.width, y: camera.height });
  for (const node of scene.nodes) {
    const at = scene.places.get(node.id);
    if (
      at &&
      at.x > corner.x - NODE_WIDTH &&
      at.x < far.x + NODE_WIDTH &&
      at.y > corner.y - NODE_HEIGHT &&
      at.y < far.y + NODE_HEIGHT
    ) {
      context.globalAlpha = scene.lit && !scene.lit.has(node.id) ? FADED : 1;
      drawNode(context, scene, node, at, camera.zoom, theme);
    }
  }
  context.globalAlpha = 1;
}

function isCritical(scene: Scene, edge: GraphEdge): boolean {
  return (scene.critical?.has(edge.source) ?? false) && (scene.critical?.has(edge.target) ?? false);
}

function drawNode(
  context: CanvasRenderingContext2D,
  scene: Scene,
  node: GraphNode,
  at: Point,
  zoom: number,
  theme: Theme
): void {
  const [left, top] = [at.x - HALF_W, at.y - HALF_H];
  const state = mainState(node.counts);
  const color = theme.states[state];
  const many = total(node.counts) > 1;
  if (node.counts[RUNNING] > 0) {
    drawPulse(context, left, top, scene.pulse, theme.states[RUNNING]);
  }
  if (many) {
    card(context, left + 5, top + 5, theme.card, theme.line, 1);
  }
  const selected = node.id === scene.selected;
  const critical = scene.critical?.has(node.id) ?? false;
  const [border, width] = selected
    ? [theme.accent, 3]
    : critical
      ? [theme.text, 2.5]
      : [node.id === scene.hovered ? theme.strong : theme.line, 1.2];
  card(context, left, top, theme.card, border, width);
  if (zoom < ZOOM_TEXT) {
    context.fillStyle = color;
    roundRect(context, left + 4, top + 4, NODE_WIDTH - 8, NODE_HEIGHT - 8, RADIUS - 3);
    context.fill();
    return;
  }
  drawShape(context, STATES[state].shape, left + 17, top + 18, 12, color);
  drawTexts(context, node, left, top, theme);
  drawBar(context, node.counts, left + 12, top + NODE_HEIGHT - 13, NODE_WIDTH - 24, 6, theme);
}

function drawTexts(
  context: CanvasRenderingContext2D,
  node: GraphNode,
  left: number,
  top: number,
  theme: Theme
): void {
  const failed = node.counts[FAILED];
  const all = total(node.counts);
  let room = NODE_WIDTH - 30 - 12;
  context.textBaseline = 'middle';
  if (all > 1) {
    const text = failed > 0 ? `${shortCount(failed)} failed` : kindTag(node.kind);
    if (text) {
      context.font = `${failed > 0 ? '600 ' : ''}10px ${theme.font}`;
      context.textAlign = 'right';
      context.fillStyle = failed > 0 ? theme.states[FAILED] : theme.dim;
      context.fillText(text, left + NODE_WIDTH - 12, top + 18.5);
      room -= context.measureText(text).width + 8;
    }
  }
  context.textAlign = 'left';
  context.fillStyle = theme.text;
  context.font = `600 13px ${theme.font}`;
  context.fillText(fitted(context, node.label, room), left + 30, top + 18.5);
  context.font = `11px ${theme.font}`;
  context.fillStyle = theme.dim;
  const finished = node.counts[FINISHED];
  const done = finished + failed;
  const words =
    all === 1
      ? STATES[mainState(node.counts)].label
      : done === all
        ? `${shortCount(all)} tasks`
        : `${shortCount(done)} of ${shortCount(all)} done`;
  context.fillText(words, left + 12, top + 36);
  if (node.duration_ms > 0) {
    const time = duration(node.duration_ms);
    const text = all === 1 ? time : `⌀ ${time}`;
    const room = NODE_WIDTH - 32 - context.measureText(words).width;
    if (context.measureText(text).width <= room) {
      context.textAlign = 'right';
      context.fillText(text, left + NODE_WIDTH - 12, top + 36);
    }
  }
}

function kindTag(kind: string): string {
  return kind === 'actor' ? 'actor' : kind === 'cell' ? 'cell' : '';
}

/** One segment a state; a state that there is stays visible however few they are. */
export function drawBar(
  context: CanvasRenderingContext2D,
  counts: readonly number[],
  left: number,
  top: number,
  width: number,
  height: number,
  theme: Theme
): void {
  const all = total(counts);
  context.fillStyle = theme.hover;
  roundRect(context, left, top, width, height, height / 2);
  context.fill();
  if (!all) {
    return;
  }
  const shown = [FAILED, FINISHED, RUNNING, 2, 1, 0].filter(state => counts[state] > 0);
  const least = Math.min(4, width / shown.length);
  const rest = width - least * shown.length;
  context.save();
  roundRect(context, left, top, width, height, height / 2);
  context.clip();
  let x = left;
  for (const state of shown) {
    const part = least + (rest * counts[state]) / all;
    context.fillStyle = theme.states[state];
    context.fillRect(x, top, part - (state === shown.at(-1) ? 0 : 1), height);
    x += part;
  }
  context.restore();
}

function drawPulse(
  context: CanvasRenderingContext2D,
  left: number,
  top: number,
  pulse: number,
  color: string
): void {
  const alpha = context.globalAlpha;
  const swell = pulse < 0 ? 3 : 2 + 4 * pulse;
  context.globalAlpha = alpha * (pulse < 0 ? 0.5 : 0.55 * (1 - pulse) + 0.1);
  context.strokeStyle = color;
  context.lineWidth = 3;
  const size = [NODE_WIDTH + 2 * swell, NODE_HEIGHT + 2 * swell] as const;
  roundRect(context, left - swell, top - swell, ...size, RADIUS + swell);
  context.stroke();
  context.globalAlpha = alpha;
}

function card(
  context: CanvasRenderingContext2D,
  left: number,
  top: number,
  fill: string,
  border: string,
  width: number
): void {
  roundRect(context, left, top, NODE_WIDTH, NODE_HEIGHT, RADIUS);
  context.fillStyle = fill;
  context.fill();
  context.strokeStyle = border;
  context.lineWidth = width;
  context.stroke();
}

function roundRect(
  context: CanvasRenderingContext2D,
  left: number,
  top: number,
  width: number,
  height: number,
  radius: number
): void {
  context.beginPath();
  context.roundRect(left, top, width, height, radius);
}

/** As much of a text as there is room for: measured in steps, for that is what takes time. */
const widths = new Map<string, string>();
function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  const key = `${context.font}|${Math.round(room)}|${text}`;
  const known = widths.get(key);
  if (known !== undefined) {
    return known;
  }
  let shown = text;
  for (let end = text.length - 1; end > 0 && context.measureText(shown).width > room; end--) {
    shown = `${text.slice(0, end)}…`;
  }
  if (widths.size > 5000) {
    widths.clear();
  }
  widths.set(key, shown);
  return shown;
}

function drawEdge(
  context: CanvasRenderingContext2D,
  scene: Scene,
  edge: GraphEdge,
  camera: Camera,
  theme: Theme
): void {
  const [from, to] = [scene.places.get(edge.source), scene.places.get(edge.target)];
  if (!from || !to) {
    return;
  }
  const lit = scene.lit === null || (scene.lit.has(edge.source) && scene.lit.has(edge.target));
  const critical = isCritical(scene, edge);
  const color = critical ? theme.text : scene.lit && lit ? theme.accent : theme.strong;
  context.globalAlpha = lit ? (critical || scene.lit ? 1 : 0.75) : FADED;
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = (critical ? 1.5 : 0) + 1.2 + 0.7 * Math.log10(Math.max(1, edge.count));
  context.setLineDash(edge.kind === 'child' ? [5, 4] : []);
  if (from === to) {
    drawLoop(context, from);
    return;
  }
  const forward = to.x > from.x;
  const side = forward ? 1 : -1;
  const route = scene.routes.get(edgeKey(edge)) ?? [];
  const end = { x: to.x - side * (HALF_W + 7), y: to.y };
  const points = [
    { x: from.x + side * HALF_W, y: from.y },
    ...(forward ? route : [...route].reverse()),
    end
  ];
  const sameColumn = to.x === from.x;
  if (sameColumn) {
    points[0] = { x: from.x + HALF_W, y: from.y };
    points[points.length - 1] = { x: to.x + HALF_W + 7, y: to.y };
  }
  context.beginPath();
  context.moveTo(points[0].x, points[0].y);
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]];
    const bend = sameColumn ? 60 : Math.max(30, Math.abs(b.x - a.x) / 2) * side;
    context.bezierCurveTo(a.x + bend, a.y, b.x + (sameColumn ? bend : -bend), b.y, b.x, b.y);
  }
  context.stroke();
  context.setLineDash([]);
  const tip = points[points.length - 1];
  drawArrow(context, tip, sameColumn ? -1 : side, context.lineWidth);
  if (edge.count > 1 && camera.zoom >= ZOOM_TEXT) {
    drawEdgeCount(context, edge.count, points, color, theme);
  }
}

function drawArrow(
  context: CanvasRenderingContext2D,
  tip: Point,
  side: number,
  width: number
): void {
  const size = 5 + width;
  context.beginPath();
  context.moveTo(tip.x + side * 6, tip.y);
  context.lineTo(tip.x - side * (size - 5), tip.y - size * 0.6);
  context.lineTo(tip.x - side * (size - 5), tip.y + size * 0.6);
  context.closePath();
  context.fill();
}

function drawLoop(context: CanvasRenderingContext2D, at: Point): void {
  const top = at.y - HALF_H;
  context.beginPath();
  context.moveTo(at.x + 50, top);
  context.bezierCurveTo(at.x + 50, top - 32, at.x + 10, top - 32, at.x + 10, top - 6);
  context.stroke();
  context.setLineDash([]);
  context.beginPath();
  context.moveTo(at.x + 10, top - 1);
  context.lineTo(at.x + 6, top - 9);
  context.lineTo(at.x + 14, top - 9);
  context.closePath();
  context.fill();
}

function drawEdgeCount(
  context: CanvasRenderingContext2D,
  number: number,
  points: readonly Point[],
  color: string,
  theme: Theme
): void {
  const k = Math.floor((points.length - 1) / 2);
  const [a, b] = [points[k], points[k + 1]];
  const [x, y] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
  const text = number < 100_000 ? count(number) : shortCount(number);
  context.font = `10px ${theme.font}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  const width = context.measureText(text).width + 10;
  context.fillStyle = theme.ground;
  roundRect(context, x - width / 2, y - 8, width, 16, 8);
  context.fill();
  context.lineWidth = 0.8;
  context.strokeStyle = color;
  context.stroke();
  context.fillStyle = theme.dim;
  context.fillText(text, x, y + 0.5);
}
