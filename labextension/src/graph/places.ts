/** Where the nodes of a graph are to one another: what the pointer meets and where the arrow keys lead. */
import type { Box } from './camera';
import type { Way } from './gestures';
import { NODE_HEIGHT, NODE_WIDTH, type Layout, type Point } from './layout';

type Places = ReadonlyMap<string, Point>;

/** What all these nodes need. */
export function bounds(places: Iterable<Point>): Box {
  const all = [...places];
  return {
    left: Math.min(...all.map(at => at.x)) - NODE_WIDTH / 2,
    right: Math.max(...all.map(at => at.x)) + NODE_WIDTH / 2,
    top: Math.min(...all.map(at => at.y)) - NODE_HEIGHT / 2,
    bottom: Math.max(...all.map(at => at.y)) + NODE_HEIGHT / 2
  };
}

/** The node at a point; empty where there is none. */
export function nodeAt(places: Places, at: Point): string {
  for (const [id, place] of places) {
    if (Math.abs(at.x - place.x) <= NODE_WIDTH / 2 && Math.abs(at.y - place.y) <= NODE_HEIGHT / 2) {
      return id;
    }
  }
  return '';
}

/**
 * Where an arrow key leads: with and against the edges along the layers, and to whom stands beside. Where no edge leads
 * on, to the next that stands there: so every node can be reached.
 */
export function neighbour(
  layout: Layout,
  lines: { predecessors: (id: string) => Set<string>; successors: (id: string) => Set<string> },
  id: string,
  way: Way
): string {
  const turn = layout.direction === 'down';
  const places = new Map(
    [...layout.places].map(([key, at]) => [key, turn ? { x: at.y, y: at.x } : at] as const)
  );
  const from = places.get(id);
  if (!from || way === 'first') {
    return first(places) || id;
  }
  const [before, after, above] = turn ? ['up', 'down', 'left'] : ['left', 'right', 'up'];
  if (way === before) {
    return along(places, from, lines.predecessors(id)) || onwards(places, from, -1);
  }
  if (way === after) {
    return along(places, from, lines.successors(id)) || onwards(places, from, 1);
  }
  return beside(places, from, way === above ? -1 : 1);
}

/** At the beginning of the layers, then the first beside. */
function first(places: Places): string {
  const found = [...places].sort(([, a], [, b]) => a.x - b.x || a.y - b.y).at(0);
  return found ? found[0] : '';
}

/** Of the ends of edges, the one at the most similar height. */
function along(places: Places, from: Point, ends: Iterable<string>): string {
  const found = [...ends]
    .map(id => ({ id, away: Math.abs((places.get(id)?.y ?? Infinity) - from.y) }))
    .sort((a, b) => a.away - b.away)
    .at(0);
  return found ? found.id : '';
}

/** The next above (-1) or below (1); columns matter, but not at any price. */
function beside(places: Places, from: Point, side: -1 | 1): string {
  return nearest(places, at => ({
    on: (at.y - from.y) * side,
    aside: Math.abs(at.x - from.x)
  }));
}

/** The next before (-1) or after (1), whatever it has to do with this one. */
function onwards(places: Places, from: Point, side: -1 | 1): string {
  return nearest(places, at => ({
    on: (at.x - from.x) * side,
    aside: Math.abs(at.y - from.y)
  }));
}

function nearest(places: Places, away: (at: Point) => { on: number; aside: number }): string {
  let best = '';
  let least = Infinity;
  for (const [id, at] of places) {
    const { on, aside } = away(at);
    if (on > 0 && on + 3 * aside < least) {
      [best, least] = [id, on + 3 * aside];
    }
  }
  return best;
}
