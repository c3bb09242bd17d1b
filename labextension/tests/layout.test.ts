import assert from 'node:assert/strict';
import test from 'node:test';
import { edgeKey } from '../src/graph/layering';
import { EMPTY, layout, layoutNow, NODE_HEIGHT, NODE_WIDTH, runSliced } from '../src/graph/layout';
import type { Direction, Layout, LayoutInput } from '../src/graph/layout';
import { neighbour } from '../src/graph/places';

function graph(text: string, direction: Direction = 'right'): LayoutInput {
  const edges = text
    .split(' ')
    .filter(word => word.includes('>'))
    .map(word => {
      const [source, target] = word.split('>');
      return { source, target };
    });
  const nodes = [...new Set(text.split(/[ >]/))];
  return { nodes, edges, direction };
}

function at(found: Layout, id: string): { x: number; y: number } {
  const place = found.places.get(id);
  assert.ok(place, `${id} has no place`);
  return place;
}

function assertApart(found: Layout): void {
  const all = [...found.places];
  for (const [i, [a, p]] of all.entries()) {
    for (const [b, q] of all.slice(i + 1)) {
      const apart = Math.abs(p.x - q.x) >= NODE_WIDTH || Math.abs(p.y - q.y) >= NODE_HEIGHT;
      assert.ok(apart, `${a} and ${b} overlap`);
    }
  }
}

function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1664525 + 1013904223) >>> 0) / 2 ** 32;
}

function randomGraph(size: number, seed: number): LayoutInput {
  const next = random(seed);
  const nodes = Array.from({ length: size }, (_, i) => `n${i}`);
  const edges = Array.from({ length: size * 2 }, () => ({
    source: nodes[Math.floor(next() * size)],
    target: nodes[Math.floor(next() * size)]
  }));
  return { nodes, edges };
}

test('edges go right, or down', () => {
  const right = layoutNow(graph('a>b b>c a>c'));
  assert.ok(at(right, 'a').x < at(right, 'b').x && at(right, 'b').x < at(right, 'c').x);
  const down = layoutNow(graph('a>b b>c a>c', 'down'));
  assert.ok(at(down, 'a').y < at(down, 'b').y && at(down, 'b').y < at(down, 'c').y);
});

test('an edge over several layers runs past the boxes in between', () => {
  const found = layoutNow(graph('a>b b>c a>c'));
  const route = found.routes.get(edgeKey({ source: 'a', target: 'c' }));
  assert.equal(route?.length, 1);
  assert.ok(Math.abs(route[0].y - at(found, 'b').y) >= NODE_HEIGHT / 2);
});

test('a chain is a straight line', () => {
  const found = layoutNow(graph('a>b b>c c>d'));
  assert.equal(new Set([...found.places.values()].map(place => place.y)).size, 1);
});

test('recursion, alone or among several, is no trouble', () => {
  const found = layoutNow(graph('a>a a>b b>c c>a'));
  assert.equal(found.places.size, 3);
  assertApart(found);
});

test('boxes never overlap, whatever the graph', () => {
  for (let seed = 1; seed <= 30; seed++) {
    assertApart(layoutNow({ ...randomGraph(40, seed), direction: seed % 2 ? 'right' : 'down' }));
  }
});

test('boxes never overlap while a graph grows', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const whole = randomGraph(30, seed);
    let found = EMPTY;
    for (let size = 1; size <= 30; size++) {
      const nodes = whole.nodes.slice(0, size);
      const known = new Set(nodes);
      const edges = whole.edges.filter(edge => known.has(edge.source) && known.has(edge.target));
      found = layoutNow({ nodes, edges }, found);
      assert.equal(found.places.size, size);
      assertApart(found);
    }
  }
});

test('what stands stays where it is when a node joins at the end', () => {
  const before = layoutNow(graph('a>b a>c b>d c>d'));
  const after = layoutNow(graph('a>b a>c b>d c>d d>e'), before);
  for (const id of ['a', 'b', 'c', 'd']) {
    assert.equal(at(after, id).x, at(before, id).x);
    assert.ok(Math.abs(at(after, id).y - at(before, id).y) < 2, `${id} has moved`);
  }
});

test('nodes without edges stand in a grid, and stay when others come', () => {
  const before = layoutNow({ nodes: ['a', 'b', 'c', 'd'], edges: [] });
  const after = layoutNow({ nodes: ['a', 'b', 'c', 'd', 'e', 'f', 'g'], edges: [] }, before);
  assertApart(after);
  for (const id of ['a', 'b', 'c', 'd']) {
    assert.deepEqual(at(after, id), at(before, id));
  }
});

test('crossings of a small graph are undone', () => {
  const found = layoutNow(graph('a>y b>x a>w c>z c>x'));
  const [x, y, z] = ['x', 'y', 'z'].map(id => at(found, id).y);
  const [a, b, c] = ['a', 'b', 'c'].map(id => at(found, id).y);
  assert.equal(Math.sign(a - c), Math.sign(y - z));
  assert.equal(Math.sign(a - b), Math.sign(y - x));
});

test('three hundred nodes are laid out within a second, even here', () => {
  layoutNow(randomGraph(300, 1));
  const started = performance.now();
  layoutNow(randomGraph(300, 2));
  assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`);
});

test('in slices it gives what it gives at once, and can be given up', () => {
  const input = randomGraph(60, 3);
  const pauses: (() => void)[] = [];
  let found: Layout | null = null;
  runSliced(
    layout(input),
    done => (found = done),
    work => pauses.push(work),
    0
  );
  while (pauses.length) {
    pauses.shift()?.();
  }
  assert.deepEqual(found, layoutNow(input));
  let called = false;
  const giveUp = runSliced(
    layout(input),
    () => (called = true),
    work => pauses.push(work),
    0
  );
  giveUp();
  pauses.shift()?.();
  assert.equal(called, false);
});

function chains(number: number): LayoutInput {
  const text = Array.from({ length: number }, (_, i) => `a${i}>b${i} b${i}>c${i}`);
  return graph(text.join(' '));
}

test('parts that do not hang together fill a screen, and no strip', () => {
  const found = layoutNow(chains(30));
  assertApart(found);
  const all = [...found.places.values()];
  const width = Math.max(...all.map(({ x }) => x)) - Math.min(...all.map(({ x }) => x));
  const height = Math.max(...all.map(({ y }) => y)) - Math.min(...all.map(({ y }) => y));
  assert.ok(width > 0.6 * height && width < 3 * height, `${width} x ${height}`);
});

test('parts on shelves stay where they are when others come', () => {
  for (const direction of ['right', 'down'] as const) {
    const before = layoutNow({ ...chains(12), direction });
    const after = layoutNow({ ...chains(16), direction }, before);
    for (const [id, place] of before.places) {
      assert.deepEqual(at(after, id), place, id);
    }
    assertApart(after);
  }
});

test('a part that grows into another moves that one down', () => {
  const before = layoutNow(chains(6));
  const input = chains(6);
  const more = Array.from({ length: 8 }, (_, i) => ({ source: 'a0', target: `new${i}` }));
  const nodes = [...input.nodes, ...more.map(({ target }) => target)];
  const after = layoutNow({ ...input, nodes, edges: [...input.edges, ...more] }, before);
  assertApart(after);
});

for (const direction of ['right', 'down'] as const) {
  test(`arrow keys lead to every node, whatever it hangs together with (${direction})`, () => {
    const input = graph('a>b b>c b>d e>f g h i j', direction);
    const found = layoutNow(input);
    const ends = (id: string, from: 'source' | 'target', to: 'source' | 'target'): Set<string> =>
      new Set(input.edges.filter(edge => edge[from] === id).map(edge => edge[to]));
    const lines = {
      successors: (id: string) => ends(id, 'source', 'target'),
      predecessors: (id: string) => ends(id, 'target', 'source')
    };
    const reached = new Set([neighbour(found, lines, '', 'first')]);
    for (const id of reached) {
      for (const way of ['left', 'right', 'up', 'down'] as const) {
        reached.add(neighbour(found, lines, id, way) || id);
      }
    }
    assert.deepEqual([...reached].sort(), [...input.nodes].sort());
  });
}

test('300 nodes are laid out in slices that leave room for frames', async () => {
  // Time of this process, whatever else the machine does.
  const now = (): number => process.cpuUsage().user / 1000;
  layoutNow(randomGraph(300, 10));
  let longest = 0;
  let began = now();
  await new Promise<void>(resolve => {
    const ended = (): void => {
      longest = Math.max(longest, now() - began);
    };
    runSliced(
      layout(randomGraph(300, 11)),
      () => {
        ended();
        resolve();
      },
      work => {
        ended();
        setTimeout(() => {
          began = now();
          work();
        });
      }
    );
  });
  assert.ok(longest < 50, `${longest.toFixed(1)} ms`);
});
