/** What the processes of a cluster have written: searched, by process, and followed. */
import { clean } from '../dom/clean';
import { element, select, toggle } from '../dom/elements';
import { count } from '../dom/words';
import type { LogLine, LogPage } from '../generated/screen';
import type { Clusters } from '../model/clusters';
import { Followed } from '../model/follow';
import type { Selection } from '../model/selection';
import { LINES_MAX, LogModel, type LogQuery } from '../model/logs';
import { LENS_MS, lensChips, showParts } from './lens';
import { Panel, type Outside, type PanelOptions } from './panel';

const POLL_MS = 1000;
const SEARCH_MS = 250;
/** So near to the end one looks at the end, and wants to stay there. */
const END_PIXELS = 24;

export interface LogsOutside extends Outside {
  logs: (cluster: string, query: LogQuery) => Promise<LogPage>;
}

export class LogsPanel extends Panel {
  readonly model = new LogModel();
  protected followed: Followed;
  protected emptyText = 'Nothing has been written yet.';
  private searchBox = element('input', { class: 'raynb-Input' });
  private sourceSelect: HTMLSelectElement;
  private follow: HTMLButtonElement;
  private lines = element('div', { class: 'raynb-Logs-lines', role: 'log', label: 'Log' });
  private none = element('p', { class: 'raynb-Table-none', role: 'status' });
  private tally = element('div', { class: 'raynb-Tally', role: 'status' });
  private follows = true;
  private timer = 0;
  /** Not the one of the polls: whatever polls at once clears that one. */
  private searchTimer = 0;
  private asking = false;
  private failure = '';
  private trail = element('div', { class: 'raynb-Trail' });
  private lensTimer = 0;

  constructor(
    options: PanelOptions,
    protected outside: LogsOutside,
    clusters: Clusters,
    private selection: Selection
  ) {
    super(options, outside);
    this.addClass('raynb-Logs');
    // The summary tells whether the cluster is there; what was written is fetched beside it.
    this.followed = new Followed(
      clusters,
      { view: 'summary' },
      {
        told: () => undefined,
        settled: () => {
          this.poll();
        },
        cleared: () => {
          this.restart();
        }
      }
    );
    this.sourceSelect = select('Process', [['', 'all processes']], '', source => {
      this.model.ask({ source });
      this.restart();
    });
    this.follow = toggle('Follow', true, on => {
      this.follows = on;
      this.poll();
    });
    this.build();
    this.model.ask(windowOf(selection));
    selection.momentChanged.connect(this.lookSoon, this);
    selection.brushChanged.connect(this.lookSoon, this);
    this.start();
  }

  /** Show what one process, or one task, has written. */
  only(wanted: { source?: string; task?: string }): void {
    const { source = '', task = '' } = wanted;
    this.model.ask({ source, task });
    this.restart();
  }

  dispose(): void {
    if (!this.isDisposed) {
      clearTimeout(this.timer);
      clearTimeout(this.searchTimer);
      clearTimeout(this.lensTimer);
      this.selection.momentChanged.disconnect(this.lookSoon, this);
      this.selection.brushChanged.disconnect(this.lookSoon, this);
      super.dispose();
    }
  }

  protected get hasContent(): boolean {
    return this.model.loaded || this.failure !== '';
  }

  protected onBeforeHide(): void {
    clearTimeout(this.timer);
    super.onBeforeHide();
  }

  private build(): void {
    const { searchBox } = this;
    const label = 'Search task, actor, process, text …';
    searchBox.type = 'search';
    searchBox.placeholder = label;
    searchBox.setAttribute('aria-label', label);
    searchBox.dataset.firstFocus = '';
    searchBox.addEventListener('input', () => {
      clearTimeout(this.searchTimer);
      this.searchTimer = window.setTimeout(() => {
        this.model.ask({ search: searchBox.value });
        this.restart();
      }, SEARCH_MS);
    });
    this.lines.tabIndex = 0;
    this.toolbar.append(searchBox, this.sourceSelect, this.follow, this.trail, this.tally);
    this.body.append(this.lines, this.none);
  }

  /** A brush that is drawn tells of many stretches: the last one counts. */
  private lookSoon(): void {
    clearTimeout(this.lensTimer);
    this.lensTimer = window.setTimeout(() => {
      this.model.ask(windowOf(this.selection));
      this.restart();
      this.describe();
    }, LENS_MS);
  }

  private restart(): void {
    this.model.restart();
    this.lines.replaceChildren();
    this.failure = '';
    this.poll();
  }

  private poll(): void {
    clearTimeout(this.timer);
    const cluster = this.followed.clusterId;
    if (!this.isVisible || this.asking || !cluster || (this.model.loaded && !this.follows)) {
      this.describe();
      return;
    }
    this.asking = true;
    const { query, of } = this.model.query();
    this.outside
      .logs(cluster, query)
      .then(
        page => {
          this.failure = '';
          this.add(this.model.take(page, of));
        },
        (error: unknown) => {
          this.failure = error instanceof Error ? error.message : String(error);
        }
      )
      .finally(() => {
        this.asking = false;
        if (!this.isDisposed) {
          this.describe();
          this.timer = window.setTimeout(
            () => {
              this.poll();
            },
            this.model.loaded ? POLL_MS : SEARCH_MS
          );
        }
      });
  }

  private add(lines: readonly LogLine[]): void {
    const { scrollTop, scrollHeight, clientHeight } = this.lines;
    const atEnd = scrollTop + clientHeight >= scrollHeight - END_PIXELS;
    this.lines.append(...lines.map(line => lineView(line)));
    while (this.lines.childElementCount > LINES_MAX) {
      this.lines.firstElementChild?.remove();
    }
    if (atEnd) {
      this.lines.scrollTop = this.lines.scrollHeight;
    }
  }

  private describe(): void {
    const { model } = this;
    this.describeSources();
    const parts = model.loaded ? [`${count(model.lines.length)} lines`] : [];
    if (model.leftOut) {
      parts.push(`${count(model.leftOut)} before them are left out`);
    }
    if (model.task) {
      parts.push('of one task');
    }
    if (model.untimed) {
      parts.push(`of ${count(model.untimed)} more nobody knows when they were written`);
    }
    const timed = model.since !== null || model.until !== null;
    showParts(this.trail, lensChips(this.selection, 'what was written'));
    set(this.tally, parts.join(' · '));
    const nothing =
      model.search || model.source || model.task || timed ? 'No line matches.' : this.emptyText;
    const said = this.failure
      ? `The logs can't be read: ${this.failure}`
      : model.loaded && !model.lines.length
        ? nothing
        : '';
    set(this.none, said);
    this.none.hidden = !said;
    this.lines.hidden = this.none.textContent !== '' && !model.lines.length;
    this.refreshNotice();
  }

  private describeSources(): void {
    const { sources, source } = this.model;
    const names = [...new Set([...sources, ...(source ? [source] : [])])].sort();
    const key = names.join('\n');
    if (this.sourceSelect.dataset.key !== key) {
      this.sourceSelect.dataset.key = key;
      this.sourceSelect.replaceChildren(
        ...['', ...names].map(name => {
          const option = element('option', { text: clean(name) || 'all processes' });
          option.value = name;
          return option;
        })
      );
    }
    this.sourceSelect.value = source;
  }
}

/** Of a moment that has passed: what had been written by then. */
function windowOf({ moment, brush }: Selection): {
  since: number | null;
  until: number | null;
} {
  const ends = [moment, brush?.end].filter(end => typeof end === 'number');
  return { since: brush?.start ?? null, until: ends.length ? Math.min(...ends) : null };
}

function lineView(line: LogLine): HTMLElement {
  return element(
    'div',
    {
      class: line.error ? 'raynb-Logs-line raynb-mod-error' : 'raynb-Logs-line',
      title: line.at ? new Date(line.at).toLocaleString() : ''
    },
    element('span', { class: 'raynb-Logs-source', text: clean(line.source), title: line.node }),
    element('span', { text: clean(line.text) })
  );
}

function set(place: HTMLElement, text: string): void {
  if (place.textContent !== text) {
    place.textContent = text;
  }
}
