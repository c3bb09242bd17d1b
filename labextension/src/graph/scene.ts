/** Draws a graph on a canvas: cards for nodes, curves for edges. Knows nothing of where events or data come from. */
import type { GraphEdge, GraphNode } from '../generated/screen';
import { drawShape, FAILED, FINISHED, mainState, RUNNING, STATES, type Theme } from '../dom/theme';
import { duration, shortCount, total } from '../dom/words';
import type { Camera } from './camera';
import { drawEdge, drawFarEdges, isCritical } from './edges';
import { FADED, fitted, roundRect, ZOOM_TEXT } from './shapes';
import { NODE_HEIGHT, NODE_WIDTH, type Direction, type Point } from './layout';

const HALF_W = NODE_WIDTH / 2;
const HALF_H = NODE_HEIGHT / 2;
const RADIUS = 9;
/** Below this not even names can: blocks of colour. */
const ZOOM_NAME = 0.2;
/** How large a name is on screen where there is room for nothing else. */
const NAME_PX = 10;

export interface Scene {
  direction: Direction;
  nodes: Iterable<GraphNode>;
  edges: Iterable<GraphEdge>;
  /** See `bothWays`. */
  bothWays: ReadonlySet<string>;
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
  const far = camera.zoom < ZOOM_NAME;
  if (far) {
    drawFarEdges(context, scene, plain, camera, theme);
  }
  for (const edge of far ? loud : [...plain, ...loud]) {
    drawEdge(context, scene, edge, camera, theme);
  }
  const corner = camera.toWorld({ x: 0, y: 0 });
  const end = camera.toWorld({ x: camera.width, y: camera.height });
  for (const node of scene.nodes) {
    const at = scene.places.get(node.id);
    if (
      at &&
      at.x > corner.x - NODE_WIDTH &&
      at.x < end.x + NODE_WIDTH &&
      at.y > corner.y - NODE_HEIGHT &&
      at.y < end.y + NODE_HEIGHT
    ) {
      context.globalAlpha = scene.lit && !scene.lit.has(node.id) ? FADED : 1;
      drawNode(context, scene, node, at, camera.zoom, theme);
    }
  }
  context.globalAlpha = 1;
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
  if (zoom < ZOOM_NAME) {
    context.fillStyle = color;
    roundRect(context, left + 4, top + 4, NODE_WIDTH - 8, NODE_HEIGHT - 8, RADIUS - 3);
    context.fill();
    return;
  }
  if (zoom < ZOOM_TEXT) {
    drawName(context, node, left, top, zoom, theme);
    drawBar(context, node.counts, left + 10, top + NODE_HEIGHT - 19, NODE_WIDTH - 20, 11, theme);
    return;
  }
  drawShape(context, STATES[state].shape, left + 17, top + 18, 12, color);
  drawTexts(context, node, left, top, theme);
  drawBar(context, node.counts, left + 12, top + NODE_HEIGHT - 13, NODE_WIDTH - 24, 6, theme);
}

/** What can be read from afar: the sign and the name, as large on screen as elsewhere. */
function drawName(
  context: CanvasRenderingContext2D,
  node: GraphNode,
  left: number,
  top: number,
  zoom: number,
  theme: Theme
): void {
  const state = mainState(node.counts);
  const size = Math.min(30, NAME_PX / zoom);
  drawShape(context, STATES[state].shape, left + 19, top + 22, 18, theme.states[state]);
  context.textAlign = 'left';
  context.textBaseline = 'middle';
  context.fillStyle = theme.text;
  context.font = `600 ${size.toFixed(1)}px ${theme.font}`;
  context.fillText(fitted(context, node.label, NODE_WIDTH - 44), left + 36, top + 22.5);
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
