/** What the columns of the tables say. Pure: cells are plain facts, drawn by `view.ts`. */
import { clean, short } from '../dom/clean';
import { bytes, count, duration } from '../dom/words';
import { numberOf, textOf, type Row } from '../model/table';

/** What a cell shows: a text, and before it a mark, or below it how full something is. */
export interface Cell {
  text: string;
  title?: string;
  mark?: 'good' | 'busy' | 'waits' | 'bad' | 'gone';
  /** 0 to 1. */
  full?: number;
}

export interface Column {
  title: string;
  /** Fields that it reads; where rows have none of them, the column isn't shown. Sorted by the first. */
  fields: readonly string[];
  numeric?: boolean;
  sorts?: boolean;
  cell: (row: Row, now: number) => Cell;
}

const TEXT_MAX = 300;

export function plain(title: string, field: string, more: Partial<Column> = {}): Column {
  return {
    title,
    fields: [field],
    sorts: true,
    cell: row => ({ text: short(clean(textOf(row[field])), TEXT_MAX) }),
    ...more
  };
}

const OBJECT_ID_CHARS = 56;
const COUNTER_CHARS = 16;
const ORIGIN_CHARS = 4;
const PUT = 0x80000000;

/**
 * What tells objects apart, as the notebook shows it: the number of their task (or put), its process's first digits,
 * and which of its results an object is where that is not the first (`raynb.runtime.messages.ids` has the layout).
 */
export function shortId(id: string): string {
  if (id.length !== OBJECT_ID_CHARS) {
    return id;
  }
  const bytes = [48, 50, 52, 54].map(at => parseInt(id.slice(at, at + 2), 16));
  const index = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  const counter = id.slice(0, COUNTER_CHARS).replace(/^0+/, '') || '0';
  const origin = id.slice(COUNTER_CHARS, COUNTER_CHARS + ORIGIN_CHARS);
  return `${counter}-${origin}${index > 1 && index < PUT ? `.${index}` : ''}`;
}

function size(title: string, field: string): Column {
  return plain(title, field, {
    numeric: true,
    cell: row => ({
      text: bytes(numberOf(row[field])),
      title: `${count(numberOf(row[field]))} bytes`
    })
  });
}

function number(title: string, field: string): Column {
  return plain(title, field, {
    numeric: true,
    cell: row => ({ text: textOf(row[field]) && count(numberOf(row[field])) })
  });
}

function since(title: string, field: string): Column {
  return plain(title, field, {
    numeric: true,
    cell: (row, now) => {
      const at = numberOf(row[field]);
      return at
        ? { text: duration(Math.max(0, now - at)), title: new Date(at).toLocaleString() }
        : { text: '' };
    }
  });
}

const WORDS: Record<string, [string, Cell['mark']]> = {
  STORED: ['in shared memory', 'good'],
  READY: ['with its owner', 'good'],
  PENDING: ['not made yet', 'waits'],
  FAILED: ['failed', 'bad'],
  FREED: ['freed', 'gone'],
  SPILLED: ['on disk', 'busy'],
  ALIVE: ['alive', 'good'],
  DEAD: ['dead', 'gone'],
  RESTARTING: ['restarts', 'busy'],
  PENDING_CREATION: ['is being made', 'waits'],
  DEPENDENCIES_UNREADY: ['waits for its arguments', 'waits'],
  SUSPECTED: ['does not answer', 'bad'],
  DRAINING: ['is being emptied', 'busy']
};

export function stateCell(state: string): Cell {
  const [text, mark] = WORDS[state] ?? [clean(state).toLowerCase().replaceAll('_', ' '), 'busy'];
  return { text, mark, title: state };
}

function state(field: string): Column {
  return plain('State', field, {
    cell: row => (row[field] ? stateCell(textOf(row[field])) : { text: '' })
  });
}

function share(title: string, used: (row: Row) => number, all: (row: Row) => number): Column {
  return {
    title,
    fields: [],
    numeric: true,
    cell: row => {
      const [now, most] = [used(row), all(row)];
      return most > 0
        ? { text: `${bytes(now)} of ${bytes(most)}`, full: now / most }
        : { text: 'not known' };
    }
  };
}

// -- objects

const REFERENCES: Record<string, string> = {
  ACTOR_HANDLE: 'a handle',
  LOCAL_REFERENCE: 'a variable',
  USED_BY_PENDING_TASK: 'queued tasks',
  PINNED_IN_MEMORY: 'others'
};

/** Who holds it: names in the notebook where they are known, else what Ray says of it. */
export function holders(row: Row): string {
  const names = row.held_by;
  if (Array.isArray(names) && names.length) {
    return short(clean(textOf(names)), TEXT_MAX);
  }
  return REFERENCES[textOf(row.reference_type)] ?? '';
}

export function shapeText(row: Row): string {
  const shape = row.value_shape ?? row.shape;
  const text = Array.isArray(shape)
    ? shape.map(each => (typeof each === 'number' ? count(each) : textOf(each))).join(' × ')
    : textOf(shape);
  return clean([textOf(row.value_dtype ?? row.dtype), text].filter(Boolean).join(' '));
}

/** Whether it is what an actor's handles hold: it is counted as objects are, and has no value. */
export function isActor(row: Row): boolean {
  return row.reference_type === 'ACTOR_HANDLE';
}

/** Whether it has a value (or had one then). */
export function isMade(row: Row): boolean {
  return ['STORED', 'READY', 'SPILLED'].includes(textOf(row.state));
}

export function typeName(row: Row): string {
  return isActor(row) ? 'an actor' : (clean(textOf(row.value_type)).split('.').pop() ?? '');
}

const OBJECT_SIZE = size('Size', 'object_size');

export const OBJECT_COLUMNS: readonly Column[] = [
  plain('Object', 'object_id', {
    sorts: false,
    cell: row => ({
      text: clean(textOf(row.name)) || shortId(textOf(row.object_id)),
      title: textOf(row.object_id)
    })
  }),
  plain('Type', 'value_type', {
    cell: row => ({ text: typeName(row), title: clean(textOf(row.value_type)) })
  }),
  plain('Shape', 'value_shape', {
    fields: ['value_shape', 'shape'],
    sorts: false,
    cell: row => ({ text: shapeText(row) })
  }),
  { ...OBJECT_SIZE, cell: (row, now) => (isMade(row) ? OBJECT_SIZE.cell(row, now) : { text: '' }) },
  plain('Held by', 'reference_type', {
    cell: row => ({ text: holders(row), title: textOf(row.reference_type) })
  }),
  state('state'),
  plain('Made at', 'call_site'),
  since('Age', 'created_ms'),
  plain('Node', 'node_id', { cell: row => idCell(row.node_id) }),
  plain('Owner', 'pid', {
    cell: row => ({
      text: `${textOf(row.type).toLowerCase() || 'process'} ${textOf(row.pid)}`
    })
  })
];

// -- actors

export const ACTOR_COLUMNS: readonly Column[] = [
  plain('Actor', 'class_name', {
    cell: row => ({
      text: clean(textOf(row.repr_name) || textOf(row.class_name)),
      title: textOf(row.actor_id)
    })
  }),
  plain('Name', 'name'),
  state('state'),
  number('Queue', 'pending_calls'),
  number('Running', 'running_calls'),
  plain('Restarts', 'num_restarts', {
    numeric: true,
    cell: row => ({ text: restarts(row) })
  }),
  plain('Process', 'pid', { numeric: true, cell: row => ({ text: textOf(row.pid) || '' }) }),
  plain('Node', 'node_id', { cell: row => idCell(row.node_id) }),
  plain('Made at', 'call_site')
];

export function restarts(row: Row): string {
  const most = row.max_restarts;
  const done = count(numberOf(row.num_restarts));
  if (typeof most !== 'number') {
    return done;
  }
  return most < 0 ? `${done}, any number` : `${done} of ${count(most)}`;
}

/** Why an actor is dead; empty: it isn't, or nobody knows. */
export function deathOf(row: Row): string {
  const cause = row.death_cause as Record<string, Record<string, unknown>> | null | undefined;
  const context = cause ? Object.values(cause).at(0) : undefined;
  return clean(textOf(context?.error_message));
}

// -- nodes

export const NODE_COLUMNS: readonly Column[] = [
  plain('Node', 'node_name', {
    cell: row => ({
      text: `${clean(textOf(row.node_name))}${row.is_head_node ? ' (head)' : ''}`,
      title: textOf(row.node_id)
    })
  }),
  state('state'),
  {
    title: 'CPU slots',
    fields: ['resources_total'],
    numeric: true,
    cell: row => resourceCell(row, 'CPU')
  },
  {
    title: 'CPU load',
    fields: ['cpu_percent'],
    sorts: true,
    numeric: true,
    cell: row => {
      const percent = numberOf(row.cpu_percent);
      return { text: `${percent.toFixed(0)} %`, full: percent / 100 };
    }
  },
  share(
    'Memory',
    row => numberOf(row.memory_used_bytes),
    row => numberOf(row.memory_total_bytes)
  ),
  share(
    'Object store',
    row => numberOf(row.store_used_bytes),
    row => numberOf(row.store_capacity_bytes)
  ),
  number('Objects', 'store_objects'),
  number('Workers', 'workers'),
  since('Up for', 'start_time_ms')
];

export function resourceCell(row: Row, name: string): Cell {
  const all = numberOf((row.resources_total as Row | undefined)?.[name]);
  const free = (row.resources_available as Row | undefined)?.[name];
  const used = free === undefined && row.state === 'DEAD' ? 0 : all - numberOf(free);
  const exact = (value: number): string => String(Math.round(value * 100) / 100);
  return all > 0 ? { text: `${exact(used)} of ${exact(all)}`, full: used / all } : { text: 'none' };
}

function idCell(value: unknown): Cell {
  const id = textOf(value);
  return { text: id.slice(0, 8), title: id };
}
