/**
 * Draws the edges of a graph.
 *
 * All is worked out as if the layers ran from left to right: *along* is the way that data flows, *across* the other. Turning
 * a point onto the screen is the last step, as in the layout.
 */
import type { GraphEdge } from '../generated/screen';
import type { Theme } from '../dom/theme';
import { count, shortCount } from '../dom/words';
import type { Camera } from './camera';
import { edgeKey } from './layering';
import { NODE_HEIGHT, NODE_WIDTH, type Direction, type Point } from './layout';
import type { Scene } from './scene';
import { FADED, roundRect, ZOOM_TEXT } from './shapes';

/** How far an edge ends before its node: room for the arrow. */
const TIP = 7;
/** Between two edges that run both ways. */
const PAIR_GAP = 30;
/** How thin a line may be on screen, and how thick that may make it in the world. */
const LINE_PX = 0.8;
const LINE_MAX = 10;

/** Where the middle of a node's sides is, and which way is along. */
interface Frame {
  turn: (point: Point) => Point;
  halfAlong: number;
  halfAcross: number;
}

const FRAMES: Record<Direction, Frame> = {
  right: { turn: point => point, halfAlong: NODE_WIDTH / 2, halfAcross: NODE_HEIGHT / 2 },
  down: {
    turn: ({ x, y }) => ({ x: y, y: x }),
    halfAlong: NODE_HEIGHT / 2,
    halfAcross: NODE_WIDTH / 2
  }
};

/** The edges between nodes that give to each other, by `edgeKey`. */
export function bothWays(edges: Iterable<GraphEdge>): Set<string> {
  const all = [...edges].filter(({ source, target }) => source !== target);
  const keys = new Set(all.map(edgeKey));
  const back = all.filter(({ source, target }) =>
    keys.has(edgeKey({ source: target, target: source }))
  );
  return new Set(back.map(edgeKey));
}

/** Whether both ends are on the longest path that is to be marked. */
export function isCritical(scene: Scene, edge: GraphEdge): boolean {
  return (scene.critical?.has(edge.source) ?? false) && (scene.critical?.has(edge.target) ?? false);
}

export function drawEdge(
  context: CanvasRenderingContext2D,
  scene: Scene,
  edge: GraphEdge,
  camera: Camera,
  theme: Theme
): void {
  const frame = FRAMES[scene.direction];
  const places = [scene.places.get(edge.source), scene.places.get(edge.target)];
  if (!places[0] || !places[1]) {
    return;
  }
  const [from, to] = [frame.turn(places[0]), frame.turn(places[1])];
  const lit = scene.lit === null || (scene.lit.has(edge.source) && scene.lit.has(edge.target));
  const critical = isCritical(scene, edge);
  const color = critical ? theme.text : scene.lit && lit ? theme.accent : theme.strong;
  context.globalAlpha = lit ? (critical || scene.lit ? 1 : 0.75) : FADED;
  context.strokeStyle = context.fillStyle = color;
  // From afar lines keep a width that can be seen.
  const least = Math.min(LINE_MAX, LINE_PX / camera.zoom);
  const width = (critical ? 1.5 : 0) + 1.2 + 0.7 * Math.log10(Math.max(1, edge.count));
  context.lineWidth = Math.max(least, width);
  context.setLineDash(edge.kind === 'child' ? [5, 4] : []);
  if (edge.source === edge.target) {
    drawLoop(context, from, frame);
    return;
  }
  const { points, beside, side } = course(scene, edge, from, to, frame);
  context.beginPath();
  trace(context, points, beside, side, frame);
  context.stroke();
  context.setLineDash([]);
  drawArrow(context, points[points.length - 1], beside ? -1 : side, frame);
  if (edge.count > 1 && camera.zoom >= ZOOM_TEXT) {
    drawEdgeCount(context, edge.count, points.map(frame.turn), color, theme);
  }
}

/** Many edges from afar, in one stroke: without arrows, which could not be seen, and hundreds of strokes take their time. */
export function drawFarEdges(
  context: CanvasRenderingContext2D,
  scene: Scene,
  edges: Iterable<GraphEdge>,
  camera: Camera,
  theme: Theme
): void {
  const frame = FRAMES[scene.direction];
  context.beginPath();
  for (const edge of edges) {
    const [a, b] = [scene.places.get(edge.source), scene.places.get(edge.target)];
    if (a && b && a !== b) {
      const { points, beside, side } = course(scene, edge, frame.turn(a), frame.turn(b), frame);
      trace(context, points, beside, side, frame);
    }
  }
  context.globalAlpha = scene.lit ? FADED : 0.75;
  context.strokeStyle = theme.strong;
  context.lineWidth = Math.min(LINE_MAX, LINE_PX / camera.zoom);
  context.stroke();
  context.globalAlpha = 1;
}

/** Where an edge runs, in the axes of the layers. */
function course(
  scene: Scene,
  edge: GraphEdge,
  from: Point,
  to: Point,
  frame: Frame
): { points: Point[]; beside: boolean; side: 1 | -1 } {
  const route = scene.routes.get(edgeKey(edge)) ?? [];
  // Those that run both ways between two nodes run beside each other.
  const aside = scene.bothWays.has(edgeKey(edge)) ? (from.x < to.x ? PAIR_GAP : -PAIR_GAP) / 2 : 0;
  const points = stops(from, to, route.map(frame.turn), frame).map(({ x, y }) => ({
    x,
    y: y + aside
  }));
  return { points, beside: to.x === from.x, side: to.x > from.x ? 1 : -1 };
}

/** The points that an edge runs through, from the side of one node to before the side of the other. */
function stops(from: Point, to: Point, route: readonly Point[], frame: Frame): Point[] {
  const half = frame.halfAlong;
  if (to.x === from.x) {
    return [
      { x: from.x + half, y: from.y },
      { x: to.x + half + TIP, y: to.y }
    ];
  }
  const side = to.x > from.x ? 1 : -1;
  return [
    { x: from.x + side * half, y: from.y },
    ...(side > 0 ? route : [...route].reverse()),
    { x: to.x - side * (half + TIP), y: to.y }
  ];
}

function trace(
  context: CanvasRenderingContext2D,
  points: readonly Point[],
  beside: boolean,
  side: number,
  { turn }: Frame
): void {
  const start = turn(points[0]);
  context.moveTo(start.x, start.y);
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]];
    const bend = beside ? 60 : Math.max(24, Math.abs(b.x - a.x) / 2) * side;
    const one = turn({ x: a.x + bend, y: a.y });
    const two = turn({ x: b.x + (beside ? bend : -bend), y: b.y });
    const end = turn(b);
    context.bezierCurveTo(one.x, one.y, two.x, two.y, end.x, end.y);
  }
}

function drawArrow(
  context: CanvasRenderingContext2D,
  tip: Point,
  side: number,
  { turn }: Frame
): void {
  const size = 5 + context.lineWidth;
  const corners = [
    { x: tip.x + side * 6, y: tip.y },
    { x: tip.x - side * (size - 5), y: tip.y - size * 0.6 },
    { x: tip.x - side * (size - 5), y: tip.y + size * 0.6 }
  ].map(turn);
  fillTriangle(context, corners);
}

function fillTriangle(context: CanvasRenderingContext2D, [one, two, three]: Point[]): void {
  context.beginPath();
  context.moveTo(one.x, one.y);
  context.lineTo(two.x, two.y);
  context.lineTo(three.x, three.y);
  context.closePath();
  context.fill();
}

/** Of a function that takes its own results: at the side where no other edge arrives. */
function drawLoop(context: CanvasRenderingContext2D, at: Point, frame: Frame): void {
  const half = Math.min(24, frame.halfAlong / 2);
  const edge = at.y - frame.halfAcross;
  const point = (along: number, across: number): Point =>
    frame.turn({ x: at.x + along, y: edge - across });
  const [start, one, two, end] = [
    point(half, 0),
    point(half, 34),
    point(-half, 34),
    point(-half, TIP + 2)
  ];
  context.beginPath();
  context.moveTo(start.x, start.y);
  context.bezierCurveTo(one.x, one.y, two.x, two.y, end.x, end.y);
  context.stroke();
  context.setLineDash([]);
  fillTriangle(context, [point(-half, 1), point(-half - 4, TIP + 3), point(-half + 4, TIP + 3)]);
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
