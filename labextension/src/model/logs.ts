/** Lines of logs as they have come, as many as a screen should keep. Knows no screen. */
import type { LogLine, LogPage } from '../generated/screen';

export const LINES_MAX = 5000;

export interface LogQuery {
  search: string;
  /** The process that wrote it; empty: all. */
  source: string;
  /** Only what this task wrote; empty: all. */
  task: string;
  after: string;
  /** Only what was written between these; null: whenever. */
  since: number | null;
  until: number | null;
}

export class LogModel {
  lines: LogLine[] = [];
  sources: string[] = [];
  /** Lines that there were, and are not kept here or there. */
  leftOut = 0;
  /** Lines of which nobody knows whether they belong into the window of time. */
  untimed = 0;
  loaded = false;
  search = '';
  source = '';
  task = '';
  since: number | null = null;
  until: number | null = null;
  private next = '';
  private generation = 0;

  /** What to ask for now; hand the answer to `take` with it. */
  query(): { query: LogQuery; of: number } {
    const { search, source, task, next, since, until } = this;
    const query = { search: search.trim(), source, task, after: next, since, until };
    return { query, of: this.generation };
  }

  /** Look for something else: all begins anew. */
  ask(wanted: Partial<Omit<LogQuery, 'after'>>): void {
    Object.assign(this, wanted);
    this.restart();
  }

  restart(): void {
    this.lines = [];
    this.leftOut = this.untimed = 0;
    this.next = '';
    this.loaded = false;
    this.generation += 1;
  }

  /** The new lines; nothing, where the answer is to what was asked before. */
  take(page: LogPage, of: number): LogLine[] {
    if (of !== this.generation) {
      return [];
    }
    const came = this.source
      ? page.lines.filter(line => line.source === this.source)
      : page.lines.slice();
    this.loaded = true;
    this.next = page.next;
    this.sources = page.sources;
    this.leftOut += page.left_out;
    this.untimed = Math.max(this.untimed, page.untimed);
    this.lines.push(...came);
    const tooMany = this.lines.length - LINES_MAX;
    if (tooMany > 0) {
      this.lines.splice(0, tooMany);
      this.leftOut += tooMany;
    }
    return came.slice(-LINES_MAX);
  }
}
