/** Where the nodes of a graph are to one another: what the pointer meets and where the arrow keys lead. */
import type { Box } from './camera';
import { NODE_HEIGHT, NODE_WIDTH, type Point } from './layout';

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

/** Leftmost, then topmost. */
export function first(places: Places): string {
  const found = [...places].sort(([, a], [, b]) => a.x - b.x || a.y - b.y).at(0);
  return found ? found[0] : '';
}

/** Of the ends of edges, the one at the most similar height. */
export function along(places: Places, from: Point, ends: Iterable<string>): string {
  const nearest = [...ends]
    .map(id => ({ id, away: Math.abs((places.get(id)?.y ?? Infinity) - from.y) }))
    .sort((a, b) => a.away - b.away)
    .at(0);
  return nearest ? nearest.id : '';
}

/** The next above (-1) or below (1); columns matter, but not at any price. */
export function beside(places: Places, from: Point, side: -1 | 1): string {
  let best = '';
  let least = Infinity;
  for (const [id, at] of places) {
    const down = (at.y - from.y) * side;
    const cost = down + 3 * Math.abs(at.x - from.x);
    if (down > 0 && cost < least) {
      [best, least] = [id, cost];
    }
  }
  return best;
}
