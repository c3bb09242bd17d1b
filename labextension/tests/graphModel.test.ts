import assert from 'node:assert/strict';
import test from 'node:test';
import type { GraphEdge, GraphNode, GraphState } from '../src/generated/screen';
import { GraphModel } from '../src/model/graph';

function node(id: string, counts = [0, 0, 0, 0, 1, 0]): GraphNode {
  const rest = { site: '', cell: '', running_since: 0, duration_ms: 0, why: '', error: '' };
  return { id, label: id, kind: 'function', counts, notebook: '', ...rest };
}

function edge(text: string, kind = 'data'): GraphEdge {
  const [source, target] = text.split('>');
  return { source, target, kind, count: 1 };
}

function state(ids: string, edges: string, more: Partial<GraphState> = {}): GraphState {
  const split = (text: string): string[] => text.split(' ').filter(word => word);
  return {
    view: 'graph',
    nodes: split(ids).map(id => node(id)),
    edges: split(edges).map(text => edge(text)),
    tasks: 9,
    dropped: 0,
    hidden: 0,
    critical: [],
    gone_nodes: [],
    gone_edges: [],
    ...more
  };
}

test('a fresh state replaces all, a change only what it names', () => {
  const model = new GraphModel();
  model.apply(state('a b c', 'a>b b>c'), true);
  model.apply(state('d', 'c>d', { gone_nodes: ['a'], gone_edges: [['a', 'b', 'data']] }), false);
  assert.deepEqual([...model.nodes.keys()], ['b', 'c', 'd']);
  assert.equal(model.edges.size, 2);
  model.apply(state('x', ''), true);
  assert.deepEqual([...model.nodes.keys()], ['x']);
  assert.equal(model.edges.size, 0);
});

test('only what comes or goes asks for a new layout', () => {
  const model = new GraphModel();
  model.apply(state('a b', 'a>b'), true);
  const before = model.structure;
  model.apply(state('a b', 'a>b'), false);
  assert.equal(model.structure, before);
  model.apply(state('', '', { gone_nodes: ['b'] }), false);
  assert.ok(model.structure > before);
});

test('lineage is all that leads to a node and all that follows, through cycles, too', () => {
  const model = new GraphModel();
  model.apply(state('a b c d e', 'a>b b>c c>d c>b'), true);
  const { ancestors, descendants } = model.lineage('b');
  assert.deepEqual([...ancestors].sort(), ['a', 'c']);
  assert.deepEqual([...descendants].sort(), ['c', 'd']);
  assert.deepEqual(model.lineage('e'), { ancestors: new Set(), descendants: new Set() });
});
