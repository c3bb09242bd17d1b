// Generated from runtime/messages/screen.py by `python -m tests.support.typescript`: edit that.

/**
 * What a screen asks for and is told: the vocabulary of the websocket between the browser and the event hub.
 *
 * These travel as JSON, with the names of their fields, from the GCS through the Jupyter server (which passes them on) to
 * the browser. TypeScript types are generated from them.
 *
 * A screen subscribes to *views*, and each answers with a `Snapshot` and then with `Delta`s, a few times a second while
 * something changes. What a view tells is bounded whatever the cluster does: aggregates with exact counts, pages of
 * tables, as many spans as there is room for; and it says what it left out. `seq` counts what was sent of a view from
 * its snapshot (0) on; whoever misses one subscribes again.
 *
 * Times are wall-clock milliseconds since the epoch, for display alone. Ids are hexadecimal. Counts by state are lists in
 * the order of `raynb.runtime.messages.events.TASK_STATES`. Text is untrusted: to be shown as text.
 */

export const SCREEN_PROTOCOL = 1;

/** The order of all counts by state. */
export const TASK_STATES = [
  'PENDING_ARGS_AVAIL',
  'PENDING_NODE_ASSIGNMENT',
  'SUBMITTED_TO_WORKER',
  'RUNNING',
  'FINISHED',
  'FAILED'
] as const;

/** Tasks and what flows between them. */
export interface GraphView {
  view: 'graph';
  /**
   * `function` or `cell`: a node stands for all tasks of one; `task`: single tasks, those around `focus`.
   */
  by?: 'function' | 'cell' | 'task';
  /**
   * With `by="task"`: ids of tasks, joined by commas, or a node's id of the aggregated graph (its newest tasks).
   */
  focus?: string;
  /** How many steps from `focus` on. */
  depth?: number;
  /** Most nodes; what is beyond is told as one number. */
  limit?: number;
  /** As it was at this moment; None: now, and live. */
  at?: number | null;
  /** Only tasks that ran in this window (start, end). */
  between?: [number, number] | null;
}

/**
 * What ran when, a lane for each worker and actor; below them what happened in the nodes' stores.
 */
export interface TimelineView {
  view: 'timeline';
  /** The window; an `end` of 0: until now, and live. */
  start?: number;
  end?: number;
  /**
   * How many steps of time can be told apart (the width in pixels): shorter neighbours of one name are joined.
   */
  buckets?: number;
  /** Most spans in an answer. */
  spans_max?: number;
  /** Only tasks of these functions; empty: all. */
  names?: string[];
}

/** A page of one of the tables that the state API has. */
export interface TableView {
  view: 'table';
  table: 'tasks' | 'actors' | 'objects' | 'nodes' | 'workers' | 'jobs';
  /** (field, "=" or "!=", value), or (field, "in", values, one a line). */
  filters?: [string, string, string][];
  /** Text that one of a row's shown fields contains, whatever the case. */
  search?: string;
  /** A field; empty: the newest first. */
  sort?: string;
  descending?: boolean;
  offset?: number;
  limit?: number;
  /** The table as it was at this moment; None: now, and live. */
  at?: number | null;
  /**
   * Only what has to do with this window (start, end): tasks that ran in it, actors that had calls in it, objects
   * that were made in it, whether they are there still or not; nodes, workers and jobs that were there.
   */
  between?: [number, number] | null;
}

/**
 * The cluster in a few numbers: for the sidebar and the status bar. `at`: as of this moment; None: live.
 */
export interface SummaryView {
  view: 'summary';
  at?: number | null;
}

/**
 * How far the tasks of a notebook's cells are. `notebook`: the kernel's id; empty: all notebooks.
 */
export interface CellsView {
  view: 'cells';
  notebook?: string;
}

export type View = GraphView | TimelineView | TableView | SummaryView | CellsView;

/** A function, a cell or a single task. */
export interface GraphNode {
  id: string;
  label: string;
  /** function | actor | cell | task | put */
  kind: string;
  /** Tasks by state. */
  counts: number[];
  /** Where it was called: `file:line` or `In[3]:line`. */
  site: string;
  /** The notebook's cell id, empty where there is none. */
  cell: string;
  /** Of a task, or the earliest of those that run; 0: none runs. */
  running_since: number;
  /** Of a task, or the mean of the finished ones. */
  duration_ms: number;
  /** Of a task that waits: one sentence. Empty where it isn't known here. */
  why: string;
  error: string;
  /** The id of that notebook's kernel: copies of a notebook have the same cells. */
  notebook: string;
}

/** `kind`: data (a result is an argument) | child (was submitted by). */
export interface GraphEdge {
  source: string;
  target: string;
  kind: string;
  count: number;
}

/** The whole graph; in a delta what is new or has changed, and what is gone. */
export interface GraphState {
  view: 'graph';
  nodes: GraphNode[];
  edges: GraphEdge[];
  /** How many tasks there are in all, and of how many nothing but the count is kept. */
  tasks: number;
  dropped: number;
  /** Nodes beyond the limit. */
  hidden: number;
  /** Ids of the nodes on the path that has taken longest. */
  critical: string[];
  gone_nodes: string[];
  gone_edges: [string, string, string][];
}

/** `kind`: worker | actor | node | store. `id` is stable. */
export interface Lane {
  id: string;
  label: string;
  kind: string;
  node: string;
  alive: boolean;
}

/**
 * Equally long columns, sorted by lane and start. `lane` and `name` are positions in `TimelineState`'s lists;
 * `count` tells how many tasks a joined span stands for, `task` the id where it is one.
 */
export interface Spans {
  lane: number[];
  start: number[];
  duration_ms: number[];
  name: number[];
  state: number[];
  count: number[];
  task: string[];
}

/** What happened in the stores: equally long columns, sorted by lane and start. */
export interface StoreSpans {
  lane: number[];
  start: number[];
  duration_ms: number[];
  /**
   * Position in `raynb.runtime.messages.store_events.STORE_EVENT_KINDS`; 4: what another node has fetched from here.
   */
  kind: number[];
  /** As of tasks: it lasts, has ended or has failed. */
  state: number[];
  /** How many a joined span stands for, and the bytes of all. */
  count: number[];
  size: number[];
  /** The object's id, where it is one and known. */
  object: string[];
  /** Of one: the process that waits or writes, or why it has failed. */
  who: string[];
  /** Of one transfer: the other node's id. */
  other: string[];
}

/**
 * A window of time. A delta has the whole window again: it has moved.
 *
 * `first` and `last` are the ends of the recorded run, `waiting` samples of how many tasks waited and ran
 * (time, waiting, running), for the overview. `store_dropped`: events of stores that are not kept.
 */
export interface TimelineState {
  view: 'timeline';
  start: number;
  end: number;
  first: number;
  last: number;
  lanes: Lane[];
  names: string[];
  spans: Spans;
  store: StoreSpans;
  waiting: [number, number, number][];
  left_out: number;
  store_dropped: number;
}

/** Rows of a table; a delta has the page again. */
export interface TablePage {
  view: 'table';
  rows: Record<string, unknown>[];
  /** How many match. */
  total: number;
  /** How many more the table has no rows of any more. */
  dropped: number;
  /** Processes that were too busy to say what they have: their objects are missing. */
  unanswered: number;
  /** Rows that a window of time leaves out because it isn't recorded when they were made. */
  untimed: number;
}

/** A delta has all of it again. */
export interface SummaryState {
  view: 'summary';
  nodes: number;
  cpus_used: number;
  cpus_total: number;
  cpu_percent: number;
  memory_used_bytes: number;
  memory_total_bytes: number;
  store_used_bytes: number;
  store_capacity_bytes: number;
  objects: number;
  tasks_waiting: number;
  tasks_running: number;
  tasks_finished: number;
  tasks_failed: number;
  actors_alive: number;
  drivers: number;
}

/** The tasks of the newest run of a cell. */
export interface CellCounts {
  cell: string;
  notebook: string;
  execution_count: number;
  counts: number[];
  began: number;
  ended: number;
}

/** All cells; in a delta those that have changed. */
export interface CellsState {
  view: 'cells';
  cells: CellCounts[];
}

export type ViewState = GraphState | TimelineState | TablePage | SummaryState | CellsState;

/** `id` is the screen's own number; the same again replaces what it stood for. */
export interface Subscribe {
  type: 'subscribe';
  id: number;
  view: View;
}

export interface Unsubscribe {
  type: 'unsubscribe';
  id: number;
}

/** Do something. Answered by `Done` with the same `id`. */
export interface Act {
  type: 'act';
  id: number;
  /** cancel | retry | kill_actor | free | scale */
  action: 'cancel' | 'retry' | 'kill_actor' | 'free' | 'scale';
  /**
   * Id of the task, actor or object; the number of CPUs for scale. To cancel all that is not over of a function or a
   * cell: its node's id in the graph, or `cell:`, the id of the notebook's kernel, `:` and the cell's id;
   * without the kernel's, the cells of all notebooks that have this id.
   */
  target: string;
}

export type Request = Subscribe | Unsubscribe | Act;

/** The first message. A screen of another protocol says so and stops. */
export interface Welcome {
  type: 'welcome';
  protocol: number;
  raynb_version: string;
  cluster: string;
}

/** All of a view, `seq` 0. */
export interface Snapshot {
  type: 'snapshot';
  id: number;
  state: ViewState;
}

/** What has changed of a view since `seq` - 1. */
export interface Delta {
  type: 'delta';
  id: number;
  seq: number;
  state: ViewState;
}

/** The answer to an `Act`; `error` says why it was not done, empty if it was. */
export interface Done {
  type: 'done';
  id: number;
  error: string;
}

/** A subscription that can't be served: an unknown field, say. */
export interface Refused {
  type: 'refused';
  id: number;
  error: string;
}

export type Told = Welcome | Snapshot | Delta | Done | Refused;

/** `nulls`: missing values in the whole column; None: not counted, the table is too large. */
export interface Column {
  name: string;
  type: string;
  nulls: number | null;
}

/** `counts` of equal steps from `low` to `high`; `left_out`: values that are no finite numbers. */
export interface Histogram {
  counts: number[];
  low: number;
  high: number;
  left_out: number;
}

/** A look into an object. */
export interface ObjectPreview {
  /**
   * What there is to show: `array` and `table` have `rows` (an array that is a picture has `image`, too),
   * `image` has `image`, `text` (JSON, too), `bytes` (a hex dump) and `repr` have `text`; `none`: nothing
   * can be shown, `note` says why.
   */
  kind: 'array' | 'table' | 'image' | 'text' | 'bytes' | 'repr' | 'none';
  /** The object's type, with its module. */
  type: string;
  /** Its size in the store. */
  bytes: number;
  /** Of arrays and tables. */
  shape: number[] | null;
  dtype: string;
  columns: Column[];
  /**
   * Of a table: rows from `offset` on, as text. Of an array: of its last two dimensions, at `at`.
   */
  rows: string[][];
  /** The indices of an array's leading dimensions that `rows` show. */
  at: number[];
  /** The first row shown, and how many there are. */
  offset: number;
  total: number;
  histogram: Histogram | null;
  /** A `data:` URL of a PNG or SVG. */
  image: string;
  text: string;
  /** What was left out, or why there is nothing. */
  note: string;
}

/**
 * `source`: the process that wrote it (`worker 1234`, `gcs`); `node`: its node's id; `at`: when it was
 * written, 0 where that isn't known.
 */
export interface LogLine {
  source: string;
  text: string;
  node: string;
  error: boolean;
  at: number;
}

/**
 * Lines in the order of their files; `next` is what to ask for to go on, `sources` all that there are.
 * `untimed`: lines that a window of time leaves out because nobody knows when they were written.
 */
export interface LogPage {
  lines: LogLine[];
  next: string;
  sources: string[];
  left_out: number;
  untimed: number;
}
