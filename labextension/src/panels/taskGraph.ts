/** The task graph as a panel: how it is grouped, what moment it shows, and what is known of the selected node. */
import type { Api } from '../api';
import { button, element, select, toggle } from '../dom/elements';
import { Pace } from '../dom/pace';
import { legend } from '../dom/signs';
import { count } from '../dom/words';
import type { GraphNode, GraphState, GraphView as View } from '../generated/screen';
import { GraphView } from '../graph/view';
import type { Clusters } from '../model/clusters';
import { Followed } from '../model/follow';
import { GraphModel } from '../model/graph';
import type { Selection } from '../model/selection';
import { Details } from './details';
import { LENS_MS, lensChips, showParts } from './lens';
import { Panel, type Outside, type PanelOptions } from './panel';

type By = NonNullable<View['by']>;

/** Nodes at most; more than this is not a picture any more. */
const LIMIT = 300;
/** Single tasks at first: so many can be read. */
const TASKS_LIMIT = 60;
const DEPTH = 2;
/** A screen reader reads the tally out, and for a browser without a GPU each change is a page to paint. */
const TALLY_MS = 1000;

export interface GraphOutside extends Outside {
  /** Scrolls the notebook of a kernel to a cell; false: it isn't open. */
  reveal: (cell: string, kernel: string) => boolean;
}

export class TaskGraphPanel extends Panel {
  readonly model = new GraphModel();
  protected followed: Followed;
  protected emptyText =
    'No tasks yet. Call a remote function or run a %%remote cell, and they appear here.';
  private by: By;
  private grouping: By;
  private focus = '';
  private focusLabel = '';
  private limit = LIMIT;
  private wantedCell = { cell: '', kernel: '' };
  private view: GraphView | null = null;
  private stale = false;
  private brushTimer = 0;
  private canvas = element('div', { class: 'raynb-TaskGraph-canvas' });
  private details: Details;
  private bySelect: HTMLSelectElement;
  private trail = element('div', { class: 'raynb-Trail' });
  private tally = element('div', { class: 'raynb-Tally', role: 'status' });
  private tallied = new Pace(TALLY_MS, () => {
    this.writeTally();
  });

  constructor(
    options: PanelOptions,
    protected outside: GraphOutside,
    clusters: Clusters,
    private selection: Selection,
    api: Pick<Api, 'task' | 'failedTasks'>,
    by: By = 'function'
  ) {
    super(options, outside);
    this.by = this.grouping = by;
    this.addClass('raynb-TaskGraph');
    this.followed = new Followed(clusters, this.wanted(), {
      told: (state, fresh) => {
        this.take(state as GraphState, fresh);
      },
      settled: () => {
        this.settled();
      },
      cleared: () => {
        this.clear();
      }
    });
    this.details = new Details(this.model, {
      reveal: node => this.open(node),
      expand: id => {
        this.expand(id);
      },
      select: id => {
        this.view?.select(id, true);
        this.view?.list.focus();
      },
      act: (action, id) => this.followed.act(action, id),
      log: id => void this.outside.execute('raynb:open-logs', { task: id }),
      look: {
        task: id => api.task(this.followed.clusterId, id),
        failed: filters => api.failedTasks(this.followed.clusterId, filters)
      }
    });
    this.bySelect = select(
      'Group tasks by',
      [
        ['function', 'by function'],
        ['cell', 'by cell']
      ],
      by,
      value => {
        this.group(value as By);
      }
    );
    this.build();
    selection.momentChanged.connect(this.look, this);
    selection.brushChanged.connect(this.lookSoon, this);
    selection.taskChanged.connect(this.follow, this);
    this.start();
  }

  protected get hasContent(): boolean {
    return this.model.nodes.size > 0;
  }

  /** Draw the graph around the newest tasks of a node, or around a task. */
  expand(id: string): void {
    const node = this.model.nodes.get(id);
    this.focusLabel = node?.label ?? 'a task';
    this.focus = id;
    this.limit = TASKS_LIMIT;
    this.by = 'task';
    this.look();
  }

  group(by: By): void {
    this.by = this.grouping = by;
    this.limit = LIMIT;
    this.focus = '';
    this.bySelect.value = by;
    this.look();
  }

  /** Show a cell of a kernel's notebook among the cells. */
  showCell(cell: string, kernel = ''): void {
    this.wantedCell = { cell, kernel };
    if (this.by === 'cell') {
      this.findCell();
    } else {
      this.group('cell');
    }
  }

  dispose(): void {
    if (!this.isDisposed) {
      clearTimeout(this.brushTimer);
      this.tallied.dispose();
      this.selection.momentChanged.disconnect(this.look, this);
      this.selection.brushChanged.disconnect(this.lookSoon, this);
      this.selection.taskChanged.disconnect(this.follow, this);
      super.dispose();
    }
  }

  protected onAfterAttach(): void {
    this.view = new GraphView(this.canvas, this.model, {
      selected: id => {
        this.select(id);
      },
      opened: id => {
        const node = this.model.nodes.get(id);
        if (node && !this.open(node)) {
          this.expand(id);
        }
      },
      expanded: id => {
        this.expand(id);
      }
    });
    this.view.list.dataset.firstFocus = '';
    // Where measurements and tests find it.
    Object.assign(this.node, { raynbView: this.view });
    this.view.update();
    super.onAfterAttach();
  }

  protected onBeforeDetach(): void {
    super.onBeforeDetach();
    this.view?.dispose();
    this.view = null;
  }

  private build(): void {
    const zoom = element('span', { class: 'raynb-Group' });
    zoom.append(
      button('−', () => this.view?.zoomBy(0.8), { label: 'Zoom out', title: 'Zoom out (-)' }),
      button('+', () => this.view?.zoomBy(1.25), { label: 'Zoom in', title: 'Zoom in (+)' }),
      button('Fit', () => this.view?.fit(), { title: 'Show all of it (0)' }),
      button('Tidy', () => this.view?.tidy(), { title: 'Lay it out from scratch' })
    );
    const critical = toggle('Critical path', false, on => this.view?.showCritical(on), {
      title: 'Mark the path that has taken longest'
    });
    this.toolbar.append(this.bySelect, critical, zoom, this.trail, this.tally);
    const stage = element('div', { class: 'raynb-TaskGraph-stage' });
    stage.append(this.canvas, legend());
    this.body.append(stage, this.details.node);
    this.body.classList.add('raynb-mod-split');
  }

  /** A brush that is drawn tells of many stretches: the last one counts. */
  private lookSoon(): void {
    clearTimeout(this.brushTimer);
    this.brushTimer = window.setTimeout(() => {
      this.look();
    }, LENS_MS);
  }

  private wanted(): View {
    const at = this.selection.moment;
    const { brush } = this.selection;
    const between: View['between'] = brush ? [brush.start, brush.end] : null;
    return {
      view: 'graph',
      by: this.by,
      focus: this.focus,
      depth: DEPTH,
      limit: this.limit,
      at,
      between
    };
  }

  private look(): void {
    this.stale = true;
    this.followed.show(this.wanted());
    this.describe();
  }

  private take(state: GraphState, fresh: boolean): void {
    if (fresh && this.stale) {
      this.stale = false;
      const same = state.nodes.some(node => this.model.nodes.has(node.id));
      if (!same) {
        this.model.clear();
        this.view?.reset();
      }
    }
    this.model.apply(state, fresh);
  }

  private settled(): void {
    this.view?.update();
    this.details.show(this.view?.selected ?? '');
    this.describe();
    this.findCell();
  }

  private clear(): void {
    this.model.clear();
    this.view?.reset();
    this.view?.update();
    if (this.by === 'task') {
      this.group(this.grouping);
    }
  }

  private findCell(): void {
    const { cell, kernel } = this.wantedCell;
    if (cell && this.by === 'cell') {
      for (const node of this.model.nodes.values()) {
        if (node.cell === cell && (!kernel || !node.notebook || node.notebook === kernel)) {
          this.wantedCell = { cell: '', kernel: '' };
          this.view?.select(node.id, true);
          return;
        }
      }
    }
  }

  private select(id: string): void {
    this.details.show(id);
    if (this.by === 'task' && id) {
      this.selection.task = id;
    }
  }

  /** A task was singled out elsewhere: show it here, too. */
  private follow(_: Selection, id: string): void {
    if (!id || id === this.view?.selected) {
      return;
    }
    if (this.model.nodes.has(id)) {
      this.view?.select(id, true);
    } else {
      this.expand(id);
    }
  }

  private open(node: GraphNode): boolean {
    return node.cell !== '' && this.outside.reveal(node.cell, node.notebook);
  }

  private describe(): void {
    const trail: HTMLElement[] = [];
    if (this.by === 'task') {
      const back = button('‹ All tasks', () => {
        this.group(this.grouping);
      });
      trail.push(back, element('span', { text: `around ${this.focusLabel}` }));
      if (this.model.hidden && this.limit < LIMIT) {
        const more = button('Show more', () => {
          this.limit = LIMIT;
          this.look();
        });
        trail.push(more);
      }
    }
    trail.push(...lensChips(this.selection, 'what ran'));
    showParts(this.trail, trail);
    this.tallied.ask();
  }

  private writeTally(): void {
    const parts = this.model.loaded ? [`${count(this.model.tasks)} tasks`] : [];
    if (this.model.hidden) {
      parts.push(`${count(this.model.hidden)} nodes more than fit in`);
    }
    if (this.model.dropped) {
      parts.push(`of ${count(this.model.dropped)} only the count is kept`);
    }
    const text = parts.join(' · ');
    if (this.tally.textContent !== text) {
      this.tally.textContent = text;
    }
  }
}
