/** What the table knows of a task, or of the failed ones of a function, beside what its node in the graph says. */
import { clean, short } from '../dom/clean';
import { button, element } from '../dom/elements';
import { FAILED } from '../dom/theme';
import { bytes, count, duration } from '../dom/words';
import type { GraphNode } from '../generated/screen';
import { numberOf, textOf, type Row } from '../model/table';

export interface TaskLook {
  /** A task's row; null: the table has none any more. */
  task: (id: string) => Promise<Row | null>;
  /** The newest failed tasks of a function or a cell: those that filters (`field=value`) let through. */
  failed: (filters: readonly string[]) => Promise<Row[]>;
}

const ERROR_LINE_MAX = 120;
/** Between two questions about the same node. */
const PAUSE_MS = 2000;

export class TaskFacts {
  readonly node = element('div', { class: 'raynb-TaskFacts' });
  private key = '';
  private shown = '';
  private asked = 0;
  private later: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private look: TaskLook,
    private select: (task: string) => void
  ) {}

  /** Asks again only when the node's tasks have moved on, and of the same node not all the time. */
  show(node: GraphNode, single: boolean): void {
    const failed = single ? 0 : node.counts[FAILED];
    const key = `${node.id} ${single ? node.counts.join() : failed}`;
    if (key === this.key) {
      return;
    }
    const same = node.id === this.shown;
    clearTimeout(this.later);
    if (same && performance.now() - this.asked < PAUSE_MS) {
      this.later = setTimeout(() => {
        this.show(node, single);
      }, PAUSE_MS);
      return;
    }
    if (!same) {
      this.node.replaceChildren();
    }
    this.key = key;
    this.shown = node.id;
    this.asked = performance.now();
    if (single) {
      const row = this.look.task(node.id);
      void this.fill(key, async () => describe(await row, node.error !== ''));
    } else if (failed > 0) {
      const rows = this.look.failed(filtersOf(node));
      void this.fill(key, async () => this.failures(await rows));
    }
  }

  clear(): void {
    clearTimeout(this.later);
    this.key = this.shown = '';
    this.node.replaceChildren();
  }

  /** What comes late, when another node is shown, is dropped; of what can't be had the reason is told. */
  private async fill(key: string, ask: () => Promise<HTMLElement[]>): Promise<void> {
    const nodes = await ask().catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      return [element('p', { class: 'raynb-dim', text: `More could not be had: ${why}` })];
    });
    if (key === this.key) {
      this.node.replaceChildren(...nodes);
    }
  }

  private failures(rows: readonly Row[]): HTMLElement[] {
    if (!rows.length) {
      return [];
    }
    const list = element('ul', { class: 'raynb-Failures', label: 'Failed tasks' });
    for (const row of rows) {
      const text = lastLine(clean(textOf(row.error_message))) || textOf(row.error_type);
      const node = button(
        short(text, ERROR_LINE_MAX),
        () => {
          this.select(textOf(row.task_id));
        },
        { class: 'raynb-mod-link', title: 'Show this task and what is around it' }
      );
      list.append(element('li', {}, node));
    }
    return [element('h3', { text: 'Newest failures' }), list];
  }
}

/** Which tasks a node of many stands for: its id is `cell:<job>:<cell>`, or its function's kind and name. */
export function filtersOf(node: Pick<GraphNode, 'id' | 'kind'>): string[] {
  const [, rest] = cut(node.id);
  if (node.kind !== 'cell') {
    return [`func_or_class_name=${rest}`];
  }
  const [job, cell] = cut(rest);
  return [`job_id=${job}`, `cell_id=${cell}`];
}

function cut(text: string): [string, string] {
  const at = text.indexOf(':');
  return [text.slice(0, at), text.slice(at + 1)];
}

function describe(row: Row | null, errorShown: boolean): HTMLElement[] {
  if (!row) {
    return [];
  }
  const table = element('dl', { class: 'raynb-Facts' });
  const fact = (name: string, value: string): void => {
    if (value) {
      table.append(element('dt', { text: name }), element('dd', { text: clean(value) }));
    }
  };
  const [made, began, ended] = [row.creation_time_ms, row.start_time_ms, row.end_time_ms].map(at =>
    numberOf(at)
  );
  fact('waited', made && began ? duration(Math.max(0, began - made)) : '');
  fact('ended at', ended ? new Date(ended).toLocaleTimeString(undefined, { hour12: false }) : '');
  const attempt = numberOf(row.attempt_number);
  fact('attempt', attempt > 0 ? count(attempt + 1) : '');
  fact('worker', numberOf(row.worker_pid) ? `process ${textOf(row.worker_pid)}` : '');
  fact('node', textOf(row.node_id).slice(0, 12));
  fact('needs', resources(row.required_resources));
  const size = numberOf(row.result_size);
  fact('result', size > 0 ? bytes(size) : '');
  fact('task', textOf(row.task_id));
  const nodes: HTMLElement[] = [table];
  const text = clean(textOf(row.error_message));
  if (text && !errorShown) {
    nodes.push(traceback(text));
  }
  return nodes;
}

/** A traceback that can be scrolled by keyboard, too. */
export function traceback(text: string): HTMLElement {
  const node = element('pre', { class: 'raynb-Details-error', text, label: 'Error' });
  node.tabIndex = 0;
  node.setAttribute('role', 'group');
  return node;
}

function resources(value: unknown): string {
  return typeof value === 'object' && value !== null
    ? Object.entries(value)
        .map(([name, amount]) => `${textOf(amount)} ${name}`)
        .join(', ')
    : '';
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? '';
}
