/** What happens in the nodes' stores, as the timeline says and draws it. By kind, as the hub numbers them. */
import { clean } from '../dom/clean';
import { bytes, count } from '../dom/words';
import type { TimelineModel } from '../model/timeline';

export interface StoreLook {
  /** Of one, and of several. */
  one: string;
  many: string;
  /** Again of Okabe and Ito's palette. */
  color: string;
}

export const STORE_LOOKS: readonly StoreLook[] = [
  { one: 'wait for room', many: 'waits for room', color: '#e69f00' },
  { one: 'write to disk', many: 'writes to disk', color: '#cc79a7' },
  { one: 'transfer in', many: 'transfers in', color: '#56b4e9' },
  { one: 'dropped copy', many: 'dropped copies', color: '#8c8c8c' },
  { one: 'transfer out', many: 'transfers out', color: '#0072b2' }
];

const UNKNOWN: StoreLook = { one: 'store event', many: 'store events', color: '#8c8c8c' };

export function storeLook(kind: number): StoreLook {
  return STORE_LOOKS[kind] ?? UNKNOWN;
}

/** "write to disk of 32 MB", "3 waits for room of 96 MB" */
export function storeTitle(model: TimelineModel, span: number): string {
  const { kind, size } = model.storeOf(span);
  const many = model.spans.count[span];
  const look = storeLook(kind);
  const what = many > 1 ? `${count(many)} ${look.many}` : look.one;
  return size > 0 ? `${what} of ${bytes(size)}` : what;
}

/** What stands on it: the lane says what it is already. */
export function storeText(model: TimelineModel, span: number): string {
  const { size, kind } = model.storeOf(span);
  const many = model.spans.count[span];
  const text = size > 0 ? bytes(size) : storeLook(kind).one;
  return many > 1 ? `${text} ×${count(many)}` : text;
}

/** Who waits or writes, or why it failed; and for a transfer the other node. */
export function storeFacts(model: TimelineModel, span: number): [name: string, value: string][] {
  const { kind, size, object, who, other } = model.storeOf(span);
  const failed = model.spans.state[span] === 5;
  const found: [string, string][] = [['bytes', size > 0 ? bytes(size) : '']];
  found.push([failed ? 'why' : 'process', clean(who)]);
  found.push([kind === 4 ? 'to node' : 'from node', other.slice(0, 12)]);
  found.push(['object', object]);
  return found.filter(([, value]) => value !== '');
}
