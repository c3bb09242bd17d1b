/**
 * A layered layout, from left to right or from the top down, that stays put while the graph grows.
 *
 * All is worked out as if from left to right: a *layer* is a column, and *y* runs along it. Turning it is the last step.
 *
 * Rules:
 * 1. Edges go right. Those that would close a cycle (recursion among functions) are turned for the layering only.
 * 2. An edge that spans several layers gets a waypoint in each, so that it runs between the boxes, not across them.
 * 3. Inside a layer what was there keeps its order and, as far as newcomers leave room, its place. Newcomers are put at
 *    the barycentre of their neighbours. Without a past, sweeps of barycentres in both directions reduce crossings.
 * 4. Heights are as near to the neighbours' as the order and the gaps allow: an isotonic regression for each layer.
 * 5. Parts that don't hang together stand on shelves; one that was there stays, and moves down only where another has
 *    grown into its place. What has no edge at all stands in a grid beneath.
 *
 * It is a generator, so that whoever shows it runs it in slices between frames (see `runSliced`): a worker would need a
 * bundle of its own in each of the places that this renderer is put in.
 */

import { closing, edgeKey, layers, parts } from './layering';
import { PART_GAP, Shelves, shelfWidth, shiftBelow, type Rectangle } from './packing';

export const NODE_WIDTH = 190;
export const NODE_HEIGHT = 62;
/** Between layers: room for an edge's bend, arrow and count. */
export const LAYER_GAP = { right: 86, down: 70 };
export const ROW_GAP = 26;
const WAYPOINT_HEIGHT = 14;
/** Of a screen's width and height: what parts together are to have. */
const SCREEN_RATIO = 1.5;
const SWEEPS = 6;
/** How much more the old place counts than the neighbours' when a node was there before. */
const STAY = 40;

export interface Point {
  x: number;
  y: number;
}

export type Direction = 'right' | 'down';

export interface LayoutInput {
  direction?: Direction;
  nodes: readonly string[];
  edges: readonly { source: string; target: string }[];
}

export interface Layout {
  direction: Direction;
  /** Centres of the nodes. */
  places: Map<string, Point>;
  /** Waypoints of an edge between its ends, by `edgeKey`. */
  routes: Map<string, Point[]>;
}

export const EMPTY: Layout = { direction: 'right', places: new Map(), routes: new Map() };

/** A node or a waypoint while it is being placed. */
interface Cell {
  id: string;
  layer: number;
  height: number;
  y: number;
  /** Its height in the layout before; NaN: it is new. */
  old: number;
  left: Cell[];
  right: Cell[];
}

export function* layout(graph: LayoutInput, past: Layout = EMPTY): Generator<void, Layout> {
  const direction = graph.direction ?? 'right';
  const before = past.direction === direction ? turned(past) : turned({ ...EMPTY, direction });
  const frame: Frame = {
    layerStep: (direction === 'right' ? NODE_WIDTH : NODE_HEIGHT) + LAYER_GAP[direction],
    height: direction === 'right' ? NODE_HEIGHT : NODE_WIDTH,
    width: direction === 'right' ? NODE_WIDTH : NODE_HEIGHT
  };
  const out = new Map<string, string[]>(graph.nodes.map(id => [id, []]));
  const linked = new Set<string>();
  for (const { source, target } of graph.edges) {
    const targets = out.get(source);
    if (source !== target && targets && out.has(target)) {
      targets.push(target);
      linked.add(source).add(target);
    }
  }
  const result: Layout = { direction, places: new Map(), routes: new Map() };
  const inOrder = byOldHeight([...linked], graph.nodes, before);
  const found: Part[] = [];
  for (const ids of parts(inOrder, out)) {
    const part = cells(ids, out, before, frame);
    yield;
    yield* order(part.rows, before);
    yield* align(part.rows, frame);
    found.push(part);
    yield;
  }
  const top = settle(found, result, frame, direction);
  grid(
    graph.nodes.filter(id => !linked.has(id)),
    result,
    top,
    before,
    frame
  );
  return turned(result);
}

/** Nodes that hang together. */
interface Part {
  rows: Cell[][];
  /** Whether some of it was there before. */
  old: boolean;
  /** How far to the right its first layer was, or is to be. */
  offset: number;
}

/** Measures along and across the layers. */
interface Frame {
  layerStep: number;
  /** Of a node, along its layer. */
  height: number;
  /** Of a node, across its layer. */
  width: number;
}

/** From the screen's axes to those of the layers, and back. */
function turned(layout: Layout): Layout {
  if (layout.direction === 'right') {
    return layout;
  }
  const turn = ({ x, y }: Point): Point => ({ x: y, y: x });
  return {
    direction: layout.direction,
    places: new Map([...layout.places].map(([id, at]) => [id, turn(at)])),
    routes: new Map([...layout.routes].map(([key, points]) => [key, points.map(turn)]))
  };
}

/** The whole layout at once: for tests and small graphs. */
export function layoutNow(graph: LayoutInput, before: Layout = EMPTY): Layout {
  const steps = layout(graph, before);
  for (;;) {
    const step = steps.next();
    if (step.done) {
      return step.value;
    }
  }
}

/** Runs a layout a few milliseconds a time; `pause` comes between. Returns how to give it up. */
export function runSliced(
  steps: Generator<void, Layout>,
  done: (layout: Layout) => void,
  pause: (work: () => void) => void = work => void setTimeout(work),
  budgetMs = 6
): () => void {
  let given = false;
  const slice = (): void => {
    const until = performance.now() + budgetMs;
    while (!given) {
      const step = steps.next();
      if (step.done) {
        done(step.value);
        return;
      }
      if (performance.now() > until) {
        pause(slice);
        return;
      }
    }
  };
  slice();
  return () => {
    given = true;
  };
}

function byOldHeight(ids: string[], nodes: readonly string[], before: Layout): string[] {
  const rank = new Map(nodes.map((id, i) => [id, i]));
  const key = (id: string): number => before.places.get(id)?.y ?? Infinity;
  return ids.sort((a, b) => key(a) - key(b) || (rank.get(a) ?? 0) - (rank.get(b) ?? 0));
}

function cells(
  part: readonly string[],
  out: Map<string, string[]>,
  before: Layout,
  frame: Frame
): Part {
  const backward = closing(part, out);
  const edges = new Map<string, readonly [string, string]>();
  for (const source of part) {
    for (const target of out.get(source) ?? []) {
      const key = edgeKey({ source, target });
      edges.set(key, backward.has(key) ? [target, source] : [source, target]);
    }
  }
  const layer = layers(part, [...edges.values()]);
  const offset = oldOffset(part, layer, before, frame);
  const column = (at: number): number => (offset ?? 0) + at * frame.layerStep;
  const rows: Cell[][] = [];
  const add = (id: string, at: number, height: number, old: number): Cell => {
    const cell: Cell = { id, layer: at, height, y: old, old, left: [], right: [] };
    while (rows.length <= at) {
      rows.push([]);
    }
    rows[at].push(cell);
    return cell;
  };
  const nodes = new Map<string, Cell>();
  for (const id of part) {
    const at = layer.get(id) ?? 0;
    const old = before.places.get(id);
    const stays = old !== undefined && old.x === column(at);
    nodes.set(id, add(id, at, frame.height, stays ? old.y : NaN));
  }
  for (const [key, [a, b]] of edges) {
    const [from, to] = [nodes.get(a), nodes.get(b)];
    if (!from || !to) {
      continue;
    }
    const past = before.routes.get(key) ?? [];
    let last = from;
    for (let at = from.layer + 1; at < to.layer; at++) {
      const old = past.find(point => point.x === column(at))?.y ?? NaN;
      const waypoint = add(key, at, WAYPOINT_HEIGHT, old);
      join(last, waypoint);
      last = waypoint;
    }
    join(last, to);
  }
  return { rows, old: offset !== null, offset: offset ?? 0 };
}

/** Where the first layer of a part was, by most of its nodes; null: all are new. */
function oldOffset(
  part: readonly string[],
  layer: Map<string, number>,
  before: Layout,
  frame: Frame
): number | null {
  const votes = new Map<number, number>();
  for (const id of part) {
    const old = before.places.get(id);
    if (old) {
      const offset = old.x - (layer.get(id) ?? 0) * frame.layerStep;
      votes.set(offset, (votes.get(offset) ?? 0) + 1);
    }
  }
  const best = [...votes].sort((a, b) => b[1] - a[1]).at(0);
  return best ? best[0] : null;
}

function join(a: Cell, b: Cell): void {
  a.right.push(b);
  b.left.push(a);
}

function* order(rows: Cell[][], before: Layout): Generator<void, void> {
  const fresh = rows.every(row => row.every(cell => Number.isNaN(cell.old)));
  if (fresh || before.places.size === 0) {
    for (const row of rows) {
      stack(row);
    }
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      const down = sweep % 2 === 0;
      for (const row of down ? rows : [...rows].reverse()) {
        const mean = new Map(
          row.map(cell => [cell, barycentre(down ? cell.left : cell.right, cell.y)])
        );
        row.sort((a, b) => (mean.get(a) ?? 0) - (mean.get(b) ?? 0));
        stack(row);
      }
      yield;
    }
    return;
  }
  for (const row of rows) {
    for (const cell of row) {
      if (Number.isNaN(cell.y)) {
        cell.y = barycentre([...cell.left, ...cell.right], Infinity);
      }
    }
    row.sort((a, b) => a.y - b.y || 0);
    yield;
  }
}

function stack(row: Cell[]): void {
  let y = -row.reduce((sum, cell) => sum + cell.height + ROW_GAP, 0) / 2;
  for (const cell of row) {
    cell.y = y + cell.height / 2;
    y += cell.height + ROW_GAP;
  }
}

function barycentre(cells: readonly Cell[], otherwise: number): number {
  const placed = cells.filter(cell => Number.isFinite(cell.y));
  return placed.length ? placed.reduce((sum, cell) => sum + cell.y, 0) / placed.length : otherwise;
}

function* align(rows: Cell[][], frame: Frame): Generator<void, void> {
  for (const row of rows) {
    if (row.some(cell => !Number.isFinite(cell.y))) {
      const lowest = Math.max(0, ...row.map(cell => cell.y).filter(Number.isFinite));
      row.forEach((cell, i) => {
        cell.y = Number.isFinite(cell.y) ? cell.y : lowest + (i + 1) * (frame.height + ROW_GAP);
      });
    }
  }
  for (let sweep = 0; sweep < SWEEPS + 2; sweep++) {
    const last = sweep >= SWEEPS;
    for (const row of sweep % 2 ? [...rows].reverse() : rows) {
      isotonic(row, cell => {
        const near = last ? [...cell.left, ...cell.right] : sweep % 2 ? cell.right : cell.left;
        const target = barycentre(near, cell.y);
        if (Number.isNaN(cell.old)) {
          return { target, weight: cell.height === WAYPOINT_HEIGHT ? 2 : 1 };
        }
        return { target: (target + STAY * cell.old) / (1 + STAY), weight: STAY };
      });
      yield;
    }
  }
}

/** Pool adjacent violators: heights in order and apart, with the least weighted square distance from the targets. */
function isotonic(
  row: readonly Cell[],
  want: (cell: Cell) => { target: number; weight: number }
): void {
  interface Block {
    sum: number;
    weight: number;
    size: number;
  }
  const offsets: number[] = [];
  const blocks: Block[] = [];
  let offset = 0;
  row.forEach((cell, i) => {
    if (i) {
      const gap =
        cell.height === WAYPOINT_HEIGHT && row[i - 1].height === WAYPOINT_HEIGHT ? 6 : ROW_GAP;
      offset += (row[i - 1].height + cell.height) / 2 + gap;
    }
    offsets.push(offset);
    const { target, weight } = want(cell);
    let block: Block = { sum: (target - offset) * weight, weight, size: 1 };
    for (
      let last = blocks.at(-1);
      last && last.sum / last.weight > block.sum / block.weight;
      last = blocks.at(-1)
    ) {
      blocks.pop();
      block = {
        sum: last.sum + block.sum,
        weight: last.weight + block.weight,
        size: last.size + block.size
      };
    }
    blocks.push(block);
  });
  let i = 0;
  for (const block of blocks) {
    for (let k = 0; k < block.size; k++, i++) {
      row[i].y = block.sum / block.weight + offsets[i];
    }
  }
}

/** Gives the parts their places, the old ones first; returns where there is nothing more. */
function settle(found: Part[], result: Layout, frame: Frame, direction: Direction): number {
  const standing: Rectangle[] = [];
  for (const part of found.filter(({ old }) => old)) {
    const box = boxOf(part, frame);
    const shift = shiftBelow(box, standing);
    write(part, result, frame, shift);
    standing.push({ ...box, top: box.top + shift, bottom: box.bottom + shift });
  }
  const fresh = found.filter(({ old }) => !old).map(part => ({ part, box: boxOf(part, frame) }));
  const sizes = fresh.map(({ box }) => sizeOf(box));
  if (!standing.length) {
    // The highest first: shelves are as high as what is highest on them.
    fresh.sort((a, b) => sizeOf(b.box).height - sizeOf(a.box).height);
  }
  const extent = Math.max(0, ...standing.map(({ right }) => right + frame.width / 2));
  const bottom = Math.max(0, ...standing.map(box => box.bottom + PART_GAP));
  const ratio = direction === 'right' ? SCREEN_RATIO : 1 / SCREEN_RATIO;
  const shelves = new Shelves(bottom, Math.max(extent, shelfWidth(sizes, ratio)));
  for (const { part, box } of fresh) {
    const { width, height } = sizeOf(box);
    const at = shelves.place(width, height);
    part.offset = at.x;
    write(part, result, frame, at.y - box.top);
    standing.push({ left: at.x, right: at.x + width, top: at.y, bottom: at.y + height });
  }
  return Math.max(0, ...standing.map(box => box.bottom + PART_GAP));
}

function sizeOf(box: Rectangle): { width: number; height: number } {
  return { width: box.right - box.left, height: box.bottom - box.top };
}

function boxOf({ rows, offset }: Part, frame: Frame): Rectangle {
  const all = rows.flat();
  return {
    left: offset - frame.width / 2,
    right: offset + (rows.length - 1) * frame.layerStep + frame.width / 2,
    top: Math.min(...all.map(cell => cell.y - cell.height / 2)),
    bottom: Math.max(...all.map(cell => cell.y + cell.height / 2))
  };
}

function write({ rows, offset }: Part, result: Layout, frame: Frame, shift: number): void {
  for (const cell of rows.flat()) {
    const point = { x: offset + cell.layer * frame.layerStep, y: cell.y + shift };
    if (cell.height === frame.height) {
      result.places.set(cell.id, point);
      continue;
    }
    const route = result.routes.get(cell.id);
    if (route) {
      route.push(point);
    } else {
      result.routes.set(cell.id, [point]);
    }
  }
}

function grid(
  ids: readonly string[],
  result: Layout,
  top: number,
  before: Layout,
  frame: Frame
): void {
  const columns = Math.max(1, Math.min(6, Math.ceil(Math.sqrt(ids.length * 0.7))));
  const taken = new Set<string>();
  const late: string[] = [];
  // Their row can only move down, when what stands above them has grown.
  const past = ids.filter(id => before.places.has(id));
  const highest = Math.min(...past.map(id => before.places.get(id)?.y ?? Infinity));
  const shift = past.length ? Math.max(0, top + frame.height / 2 - highest) : 0;
  for (const id of ids) {
    const old = before.places.get(id);
    const spot = old && { x: old.x, y: old.y + shift };
    if (spot && !taken.has(`${spot.x} ${spot.y}`)) {
      taken.add(`${spot.x} ${spot.y}`);
      result.places.set(id, spot);
    } else {
      late.push(id);
    }
  }
  const first = past.length ? highest + shift : top + frame.height / 2;
  let slot = 0;
  for (const id of late) {
    let spot: Point;
    do {
      const x = (slot % columns) * (frame.width + ROW_GAP);
      const y = first + Math.floor(slot / columns) * (frame.height + ROW_GAP);
      spot = { x, y };
      slot += 1;
    } while (taken.has(`${spot.x} ${spot.y}`));
    result.places.set(id, spot);
  }
}
