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
}

export class LogModel {
  lines: LogLine[] = [];
  sources: string[] = [];
  /** Lines that there were, and are not kept here or there. */
  leftOut = 0;
  loaded = false;
  search = '';
  source = '';
  task = '';
  private next = '';
  private generation = 0;

  /** What to ask for now; hand the answer to `take` with it. */
  query(): { query: LogQuery; of: number } {
    const { search, source, task, next } = this;
    return { query: { search: search.trim(), source, task, after: next }, of: this.generation };
  }

  /** Look for something else: all begins anew. */
  ask(wanted: Partial<Pick<LogQuery, 'search' | 'source' | 'task'>>): void {
    Object.assign(this, wanted);
    this.restart();
  }

  restart(): void {
    this.lines = [];
    this.leftOut = 0;
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
    this.lines.push(...came);
    const tooMany = this.lines.length - LINES_MAX;
    if (tooMany > 0) {
      this.lines.splice(0, tooMany);
      this.leftOut += tooMany;
    }
    return came.slice(-LINES_MAX);
  }
}
