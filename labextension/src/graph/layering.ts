/** What belongs together in a graph, what closes a cycle in it, and which layer each node belongs to: no places yet. */

export function edgeKey(edge: { source: string; target: string }): string {
  return `${edge.source}\u0000${edge.target}`;
}

/** The parts that hang together, in the order of their first nodes. */
export function parts(ids: readonly string[], out: Map<string, string[]>): string[][] {
  const near = new Map<string, string[]>(ids.map(id => [id, []]));
  for (const [source, targets] of out) {
    for (const target of targets) {
      near.get(source)?.push(target);
      near.get(target)?.push(source);
    }
  }
  const seen = new Set<string>();
  const found: string[][] = [];
  for (const id of ids) {
    if (!seen.has(id)) {
      seen.add(id);
      const part = [id];
      for (const next of part) {
        for (const other of near.get(next) ?? []) {
          if (!seen.has(other)) {
            seen.add(other);
            part.push(other);
          }
        }
      }
      found.push(part);
    }
  }
  return found;
}

/** Depth-first, without recursion: the edges that close a cycle, by `edgeKey`. */
export function closing(ids: readonly string[], out: Map<string, string[]>): Set<string> {
  const state = new Map<string, 'open' | 'done'>();
  const turned = new Set<string>();
  for (const root of ids) {
    const stack: { id: string; next: number }[] = state.has(root) ? [] : [{ id: root, next: 0 }];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      state.set(top.id, 'open');
      const target = (out.get(top.id) ?? []).at(top.next);
      if (target === undefined || top.next >= (out.get(top.id)?.length ?? 0)) {
        state.set(top.id, 'done');
        stack.pop();
        continue;
      }
      top.next += 1;
      if (state.get(target) === 'open') {
        turned.add(edgeKey({ source: top.id, target }));
      } else if (!state.has(target)) {
        stack.push({ id: target, next: 0 });
      }
    }
  }
  return turned;
}

/** Layers by the longest path, and then sources moved right, next to what they feed. */
export function layers(
  ids: readonly string[],
  edges: readonly (readonly [string, string])[]
): Map<string, number> {
  const right = new Map<string, string[]>(ids.map(id => [id, []]));
  const waits = new Map<string, number>(ids.map(id => [id, 0]));
  for (const [a, b] of edges) {
    right.get(a)?.push(b);
    waits.set(b, (waits.get(b) ?? 0) + 1);
  }
  const sources = new Set(ids.filter(id => waits.get(id) === 0));
  const layer = new Map<string, number>(ids.map(id => [id, 0]));
  const ready = [...sources];
  for (const id of ready) {
    for (const next of right.get(id) ?? []) {
      layer.set(next, Math.max(layer.get(next) ?? 0, (layer.get(id) ?? 0) + 1));
      const left = (waits.get(next) ?? 0) - 1;
      waits.set(next, left);
      if (left === 0) {
        ready.push(next);
      }
    }
  }
  for (const id of sources) {
    const nearest = Math.min(...(right.get(id) ?? []).map(next => layer.get(next) ?? 0));
    layer.set(id, Math.max(0, nearest - 1));
  }
  return layer;
}
