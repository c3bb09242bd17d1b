/** The timeline as a panel: what ran when, a lane for each worker and actor; and the moment that all panels show. */
import { button, element, toggle } from '../dom/elements';
import { sign } from '../dom/signs';
import { count, duration } from '../dom/words';
import type { TimelineState, TimelineView as View } from '../generated/screen';
import type { Clusters } from '../model/clusters';
import { Followed } from '../model/follow';
import type { Brush, Selection } from '../model/selection';
import { TimelineModel } from '../model/timeline';
import { spanState, took } from '../timeline/list';
import { storeFacts, storeTitle } from '../timeline/stores';
import { TimelineView } from '../timeline/view';
import { since, width, type Asked, type Extent } from '../timeline/window';
import { Panel, type Outside, type PanelOptions } from './panel';

/** More than a screen has room for; the hub joins what is too much. */
const SPANS_MAX = 8000;
const RUN: View = { view: 'timeline', spans_max: 1, buckets: 200 };
/** Functions in the legend; the others are named where one points at them. */
const LEGEND_MAX = 12;

export interface TimelineOutside extends Outside {
  /** Saves the run of a cluster as a Chrome trace; where it is not there, nothing can be saved. */
  saveTrace?: (cluster: string) => void;
  /** Whether there is a panel with the task graph. */
  opensGraph?: boolean;
}

export class TimelinePanel extends Panel {
  readonly model = new TimelineModel();
  protected followed: Followed;
  protected emptyText =
    'Nothing has run yet. As soon as a task runs, its time stands here in the lane of its worker.';
  /** A window in the past is told once; how the run goes on is told beside it. */
  private run: Followed;
  private view: TimelineView | null = null;
  private canvas = element('div', { class: 'raynb-Timeline-lanes' });
  private stage = element('div', { class: 'raynb-Timeline-stage' });
  private legend = element('div', {
    class: 'raynb-Timeline-names',
    role: 'group',
    label: 'Show only these functions'
  });
  private details = element('aside', { class: 'raynb-Details', label: 'The selected span' });
  private tally = element('div', { class: 'raynb-Tally', role: 'status' });
  private trail = element('div', { class: 'raynb-Trail' });
  private live: HTMLButtonElement;
  private only = new Set<string>();
  private momentTimer = 0;

  constructor(
    options: PanelOptions,
    protected outside: TimelineOutside,
    clusters: Clusters,
    private selection: Selection
  ) {
    super(options, outside);
    this.addClass('raynb-Timeline');
    this.followed = new Followed(clusters, this.asking(null), {
      told: state => {
        this.model.apply(state as TimelineState);
      },
      settled: () => {
        this.view?.update();
        this.describe();
      },
      cleared: () => {
        this.model.clear();
        this.view?.reset();
      }
    });
    this.run = new Followed(clusters, null, {
      told: state => {
        this.model.applyRun(state as TimelineState);
      },
      settled: () => {
        this.view?.update();
      },
      cleared: () => undefined
    });
    this.live = toggle('Follow', true, on => this.view?.setLive(on), {
      title: 'Keep the end of the run in sight'
    });
    this.build();
    selection.momentChanged.connect(this.showMoment, this);
    selection.taskChanged.connect(this.showTask, this);
    selection.brushChanged.connect(this.showBrush, this);
    this.start();
  }

  dispose(): void {
    if (!this.isDisposed) {
      clearTimeout(this.momentTimer);
      this.run.dispose();
      this.selection.momentChanged.disconnect(this.showMoment, this);
      this.selection.taskChanged.disconnect(this.showTask, this);
      this.selection.brushChanged.disconnect(this.showBrush, this);
      this.selection.brush = null;
      super.dispose();
    }
  }

  protected get hasContent(): boolean {
    return this.model.lanes.length > 0;
  }

  protected onAfterAttach(): void {
    this.view = new TimelineView(this.canvas, this.model, {
      asked: asked => {
        this.followed.show(this.asking(asked));
        this.run.show(asked.live ? null : RUN);
      },
      selected: span => {
        this.selected(span);
      },
      opened: span => {
        this.open(span);
      },
      brushed: brush => {
        this.brushed(brush);
      },
      moment: at => {
        this.moveTo(at);
      },
      moved: () => {
        this.describeTally();
      },
      followed: on => {
        this.live.setAttribute('aria-pressed', String(on));
      }
    });
    this.view.list.node.dataset.firstFocus = '';
    this.stage.prepend(this.view.overview.node);
    // Where measurements and tests find it.
    Object.assign(this.node, { raynbView: this.view });
    this.view.setMoment(this.selection.moment);
    this.view.update();
    super.onAfterAttach();
    this.run.look(this.isVisible);
  }

  protected onBeforeDetach(): void {
    super.onBeforeDetach();
    this.run.look(false);
    this.view?.overview.node.remove();
    this.view?.dispose();
    this.view = null;
  }

  protected onAfterShow(): void {
    super.onAfterShow();
    this.run.look(true);
  }

  protected onBeforeHide(): void {
    super.onBeforeHide();
    this.run.look(false);
  }

  private build(): void {
    const zoom = element('span', { class: 'raynb-Group' });
    zoom.append(
      button('−', () => this.view?.zoomBy(1 / 1.5), { label: 'Zoom out', title: 'Zoom out (-)' }),
      button('+', () => this.view?.zoomBy(1.5), { label: 'Zoom in', title: 'Zoom in (+)' }),
      button('Fit', () => this.view?.fit(), { title: 'Show the whole run (0)' })
    );
    this.toolbar.append(this.live, zoom);
    const { saveTrace } = this.outside;
    if (saveTrace) {
      this.toolbar.append(
        button(
          'Save trace',
          () => {
            saveTrace(this.followed.clusterId);
          },
          { title: 'The whole run as a Chrome trace, which ui.perfetto.dev opens' }
        )
      );
    }
    this.toolbar.append(this.trail, this.tally);
    this.details.hidden = true;
    this.details.tabIndex = 0;
    this.stage.append(this.canvas, this.legend);
    this.body.append(this.stage, this.details);
    this.body.classList.add('raynb-mod-split');
  }

  private asking(asked: Asked | null): View {
    const view = { view: 'timeline', spans_max: SPANS_MAX } as const;
    return asked
      ? { ...view, start: asked.start, end: asked.live ? 0 : asked.end, buckets: asked.buckets }
      : view;
  }

  private selected(span: number): void {
    const task = this.model.taskOf(span);
    if (task) {
      this.selection.task = task;
    }
    this.describeSpan(span);
  }

  private open(span: number): void {
    const task = this.model.taskOf(span);
    if (this.outside.opensGraph && task) {
      this.selection.task = task;
      void this.outside.execute('raynb:open-task-graph');
    } else {
      const extent = { start: this.model.spans.start[span], end: this.model.endOf(span) };
      this.view?.show(padded(extent));
    }
  }

  private brushed(brush: Extent | null): void {
    const names = brush ? this.model.shares(brush.start, brush.end).map(share => share.name) : [];
    this.selection.brush = brush ? { ...brush, names } : null;
    this.describe();
  }

  /** Many moments pass under a slider: the other panels get some of them, and the last. */
  private moveTo(at: number | null): void {
    this.view?.setMoment(at);
    clearTimeout(this.momentTimer);
    this.momentTimer = window.setTimeout(() => {
      this.selection.moment = at;
    }, 100);
  }

  private showMoment(_: Selection, at: number | null): void {
    this.view?.setMoment(at);
    this.describe();
  }

  /** It was taken away elsewhere. */
  private showBrush(_: Selection, brush: Brush | null): void {
    if (!brush && this.view?.brush) {
      this.view.setBrush(null);
    }
  }

  /** A task was singled out elsewhere: show it here, if it is in sight. */
  private showTask(_: Selection, id: string): void {
    const span = id ? this.model.spans.task.indexOf(id) : -1;
    if (span >= 0 && span !== this.view?.selection) {
      this.view?.select(span, true);
    }
  }

  private describe(): void {
    this.describeTrail();
    this.describeNames();
    this.describeSpan(this.view?.selection ?? -1);
    this.describeTally();
  }

  private describeTally(): void {
    const { model, view } = this;
    if (!view) {
      return;
    }
    const shares = model.shares(view.seen.start, view.seen.end);
    const tasks = shares.reduce((sum, share) => sum + share.count, 0);
    const parts = model.loaded
      ? [`${count(tasks)} ${tasks === 1 ? 'task' : 'tasks'} in sight`]
      : [];
    if (model.leftOut) {
      parts.push(`${count(model.leftOut)} more than fit in: zoom in`);
    }
    if (model.storeDropped) {
      parts.push(`${count(model.storeDropped)} older store events are not kept`);
    }
    const text = parts.join(' · ');
    if (this.tally.textContent !== text) {
      this.tally.textContent = text;
    }
  }

  private describeTrail(): void {
    const { moment, brush } = this.selection;
    const parts: HTMLElement[] = [];
    if (moment !== null) {
      const time = since(
        moment - this.model.first,
        width(this.view?.run ?? { start: 0, end: 1 }) / 1000
      );
      parts.push(
        element('span', { class: 'raynb-Chip', text: `all panels as of ${time}` }),
        button('Live', () => {
          this.moveTo(null);
        })
      );
    }
    if (brush) {
      const shares = this.model.shares(brush.start, brush.end);
      const tasks = shares.reduce((sum, share) => sum + share.count, 0);
      const text = `${duration(width(brush))}: ${count(tasks)} tasks of ${count(shares.length)} functions`;
      parts.push(
        element('span', { class: 'raynb-Chip', text }),
        button('Clear', () => this.view?.setBrush(null), { label: 'Clear the brushed stretch' })
      );
    }
    const key = parts.map(part => part.textContent).join('|');
    if (this.trail.dataset.key !== key) {
      this.trail.dataset.key = key;
      this.trail.replaceChildren(...parts);
    }
  }

  private describeNames(): void {
    const { model, view } = this;
    if (!view) {
      return;
    }
    const shares = model.shares(model.start, model.end).slice(0, LEGEND_MAX);
    const names = shares.map(share => share.name).sort();
    const failed = shares.some(share => share.failed > 0);
    const key = JSON.stringify([names, failed, [...this.only], model.names.length]);
    if (this.legend.dataset.key === key) {
      return;
    }
    this.legend.dataset.key = key;
    const focused = document.activeElement?.textContent;
    this.legend.replaceChildren(
      ...names.map(name => this.nameToggle(name)),
      ...(model.names.length > LEGEND_MAX
        ? [element('span', { text: `and ${count(model.names.length - LEGEND_MAX)} more` })]
        : []),
      ...(failed ? [element('span', { class: 'raynb-Timeline-key' }, sign(5), text('failed'))] : [])
    );
    [...this.legend.querySelectorAll('button')].find(each => each.textContent === focused)?.focus();
  }

  private nameToggle(name: string): HTMLElement {
    const swatch = element('span', { class: 'raynb-Swatch', 'aria-hidden': 'true' });
    swatch.style.background = this.view?.colors.of(name).color ?? '';
    const node = toggle('', this.only.has(name), on => {
      if (on) {
        this.only.add(name);
      } else {
        this.only.delete(name);
      }
      this.view?.setNames(this.only);
    });
    node.classList.add('raynb-mod-name');
    node.append(swatch, element('span', { text: name }));
    return node;
  }

  private describeSpan(span: number): void {
    this.details.hidden = span < 0;
    if (span < 0 || span >= this.model.size) {
      return;
    }
    const { model } = this;
    const { spans } = model;
    const lane = model.lanes[spans.lane[span]];
    const single = spans.count[span] === 1;
    const store = model.isStore(span);
    const key = JSON.stringify([spans.task[span], spans.state[span], spans.start[span], single]);
    if (this.details.dataset.key === key && spans.state[span] !== 3) {
      return;
    }
    const facts = element('dl', { class: 'raynb-Facts' });
    const fact = (name: string, value: string): void => {
      facts.append(element('dt', { text: name }), element('dd', { text: value }));
    };
    if (!single) {
      fact(store ? 'in all' : 'tasks', count(spans.count[span]));
    }
    fact('began', `${since(spans.start[span] - model.first, 1)} after the start`);
    const [word, ...time] = took(model, span).split(' ');
    fact(word, time.join(' '));
    fact('lane', lane.label);
    if (lane.node) {
      fact('node', lane.node.slice(0, 12));
    }
    for (const [name, value] of store ? storeFacts(model, span) : []) {
      fact(name, value);
    }
    const state = element('p', { class: 'raynb-State' }, sign(spans.state[span]));
    state.append(spanState(spans.state[span]));
    const title = store ? storeTitle(model, span) : model.nameOf(span);
    const parts = [element('h2', { text: title }), state, facts];
    if (this.details.dataset.key === key) {
      this.details.querySelector('.raynb-Facts')?.replaceWith(facts);
      return;
    }
    this.details.dataset.key = key;
    this.details.replaceChildren(...parts, this.spanButtons(span, single));
  }

  private spanButtons(span: number, single: boolean): HTMLElement {
    const extent = { start: this.model.spans.start[span], end: this.model.endOf(span) };
    const name = this.model.nameOf(span);
    const buttons = element('div', { class: 'raynb-Details-buttons' });
    buttons.append(button('Zoom to it', () => this.view?.show(padded(extent))));
    if (this.model.isStore(span)) {
      const { object } = this.model.storeOf(span);
      if (object && this.outside.opensGraph) {
        buttons.append(
          button('Show the object', () => {
            void this.outside.execute('raynb:open-objects', { object });
          })
        );
      }
      return buttons;
    }
    buttons.append(
      button(`Only ${name.slice(0, 24)}`, () => {
        this.only = new Set([name]);
        this.view?.setNames(this.only);
        this.describeNames();
      })
    );
    if (single && this.outside.opensGraph) {
      buttons.prepend(
        button('Show in the task graph', () => {
          this.open(span);
        })
      );
    }
    return buttons;
  }
}

function padded({ start, end }: Extent): Extent {
  const room = Math.max(0.5, (end - start) * 0.3);
  return { start: start - room, end: end + room };
}

function text(words: string): HTMLElement {
  return element('span', { text: words });
}
