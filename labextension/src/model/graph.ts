/** The task graph as it is told: nodes and edges, and who stands before and after whom. */
import { clean } from '../dom/clean';
import type { GraphEdge, GraphNode, GraphState } from '../generated/screen';

export interface Lineage {
  ancestors: Set<string>;
  descendants: Set<string>;
}

export class GraphModel {
  readonly nodes = new Map<string, GraphNode>();
  readonly edges = new Map<string, GraphEdge>();
  critical = new Set<string>();
  tasks = 0;
  dropped = 0;
  hidden = 0;
  /** Goes up when nodes or edges come or go, so that it's time for a new layout. */
  structure = 0;
  /** Whether a first state has come. */
  loaded = false;
  private after = new Map<string, Set<string>>();
  private before = new Map<string, Set<string>>();

  apply(state: GraphState, fresh: boolean): void {
    const nodes = this.applyNodes(state, fresh);
    const edges = this.applyEdges(state, fresh);
    if (nodes || edges) {
      this.structure += 1;
      this.relate();
    }
    this.critical = new Set(state.critical);
    this.tasks = state.tasks;
    this.dropped = state.dropped;
    this.hidden = state.hidden;
    this.loaded = true;
  }

  clear(): void {
    this.nodes.clear();
    this.edges.clear();
    this.critical.clear();
    this.tasks = this.dropped = this.hidden = 0;
    this.loaded = false;
    this.structure += 1;
    this.relate();
  }

  successors(id: string): Set<string> {
    return this.after.get(id) ?? new Set();
  }

  predecessors(id: string): Set<string> {
    return this.before.get(id) ?? new Set();
  }

  lineage(id: string): Lineage {
    return { ancestors: reach(id, this.before), descendants: reach(id, this.after) };
  }

  private applyNodes(state: GraphState, fresh: boolean): boolean {
    let changed = false;
    const kept = new Set(state.nodes.map(node => node.id));
    for (const id of fresh
      ? [...this.nodes.keys()].filter(id => !kept.has(id))
      : state.gone_nodes) {
      changed = this.nodes.delete(id) || changed;
    }
    for (const node of state.nodes) {
      changed ||= !this.nodes.has(node.id);
      this.nodes.set(node.id, readable(node));
    }
    return changed;
  }

  private applyEdges(state: GraphState, fresh: boolean): boolean {
    let changed = false;
    const kept = new Set(state.edges.map(keyOf));
    const gone = fresh
      ? [...this.edges.keys()].filter(key => !kept.has(key))
      : state.gone_edges.map(([source, target, kind]) => keyOf({ source, target, kind }));
    for (const key of gone) {
      changed = this.edges.delete(key) || changed;
    }
    for (const edge of state.edges) {
      changed ||= !this.edges.has(keyOf(edge));
      this.edges.set(keyOf(edge), edge);
    }
    return changed;
  }

  private relate(): void {
    this.after.clear();
    this.before.clear();
    for (const { source, target } of this.edges.values()) {
      if (source !== target && this.nodes.has(source) && this.nodes.has(target)) {
        insert(this.after, source, target);
        insert(this.before, target, source);
      }
    }
  }
}

/** Names, errors and reasons are text of others. */
function readable(node: GraphNode): GraphNode {
  return {
    ...node,
    label: clean(node.label),
    site: clean(node.site),
    why: clean(node.why),
    error: clean(node.error)
  };
}

function keyOf(edge: { source: string; target: string; kind: string }): string {
  return `${edge.source}\u0000${edge.target}\u0000${edge.kind}`;
}

function insert(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key);
  if (set) {
    set.add(value);
  } else {
    sets.set(key, new Set([value]));
  }
}

function reach(from: string, steps: Map<string, Set<string>>): Set<string> {
  const found = new Set<string>();
  const open = [from];
  for (const id of open) {
    for (const next of steps.get(id) ?? []) {
      if (!found.has(next) && next !== from) {
        found.add(next);
        open.push(next);
      }
    }
  }
  return found;
}
