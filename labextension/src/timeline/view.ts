/**
 * The timeline on screen: lanes on a canvas, an overview of the run above it, and a list box that says the same to
 * keyboards and screen readers. Knows no JupyterLab, so that it serves notebook widgets, too.
 *
 * The hub joins spans that are narrower than a pixel, so a picture is some thousand rectangles whatever the run was.
 * Who zooms sees what is there stretched at once, and what is asked for then in its place.
 */
import { element } from '../dom/elements';
import { onResize, onThemeChange, readTheme, type Theme } from '../dom/theme';
import type { TimelineModel } from '../model/timeline';
import { NameColors } from './colors';
import { listenToKeys, listenToPointer } from './input';
import { GUTTER_WIDTH, Lanes } from './lanes';
import { describeSpan, SpanList } from './list';
import { Overview } from './overview';
import { drawTimeline } from './scene';
import {
  moved,
  revealing,
  wanted,
  whole,
  width,
  within,
  zoomed,
  type Asked,
  type Extent
} from './window';

export interface TimelineEvents {
  /** Another stretch is looked at, or in more detail: ask the hub for it. */
  asked: (asked: Asked) => void;
  /** A span was singled out; -1: none is. */
  selected: (span: number) => void;
  /** Enter or double click: show this task elsewhere. */
  opened: (span: number) => void;
  brushed: (brush: Extent | null) => void;
  moment: (at: number | null) => void;
  /** Another stretch is in sight. */
  moved: () => void;
  /** Whether the end of the run is followed has changed. */
  followed: (follows: boolean) => void;
}

const ASK_MS = 120;
/** What is asked for before anything is known: all, as fine as the hub has it by itself. */
const FIRST: Asked = { start: 0, end: 0, buckets: 1000, live: true };

export class TimelineView {
  readonly colors = new NameColors();
  readonly lanes = new Lanes();
  readonly list: SpanList;
  readonly overview: Overview;
  readonly canvas = element('canvas', { class: 'raynb-Timeline-canvas', 'aria-hidden': 'true' });
  /** How often it has drawn, for measurements. */
  frames = 0;
  brush: Extent | null = null;
  selection = -1;
  private context: CanvasRenderingContext2D;
  private tip = element('div', { class: 'raynb-Tip', 'aria-hidden': 'true' });
  private extent: Extent = whole(0, 0);
  /** All of the run, or its last so many milliseconds, whatever comes. */
  private follow: 'all' | 'tail' | 'no' = 'all';
  private identity = { task: '', lane: '' };
  private hovered = -1;
  private only: ReadonlySet<string> = new Set();
  private at: number | null = null;
  private asked: Asked = FIRST;
  private askTimer = 0;
  private frame = 0;
  private size = { width: 1, height: 1 };
  private theme: Theme;
  private cleanup: (() => void)[] = [];

  constructor(
    readonly host: HTMLElement,
    readonly model: TimelineModel,
    readonly events: TimelineEvents
  ) {
    const context = this.canvas.getContext('2d', { alpha: false });
    if (!context) {
      throw new Error('raynb: this browser has no canvas to draw on');
    }
    this.context = context;
    this.list = new SpanList(model);
    this.overview = new Overview(model, {
      seen: extent => {
        this.show(extent);
      },
      moment: events.moment
    });
    host.classList.add('raynb-Graph');
    host.append(this.canvas, this.list.node, this.tip);
    this.tip.hidden = true;
    this.theme = readTheme(host);
    this.listen();
  }

  get seen(): Extent {
    return this.extent;
  }

  get run(): Extent {
    return whole(this.model.first, this.model.last);
  }

  get follows(): boolean {
    return this.follow !== 'no';
  }

  get height(): number {
    return this.size.height;
  }

  /** Call after the model has changed. */
  update(): void {
    const { run } = this;
    if (this.follow === 'all') {
      this.extent = run;
    } else if (this.follow === 'tail') {
      this.extent = within({ start: run.end - width(this.extent), end: run.end }, run);
    }
    if (this.selection >= 0) {
      this.selection = this.model.find(this.identity.task, this.identity.lane);
      if (this.selection < 0) {
        this.events.selected(-1);
      }
    }
    this.hovered = -1;
    this.tip.hidden = true;
    this.lanes.arrange(this.model.rows, this.size.height);
    this.changed();
  }

  /** Another run comes: look at all of it. */
  reset(): void {
    this.asked = FIRST;
    this.brush = null;
    this.select(-1);
    this.setFollow('all');
    this.update();
  }

  show(extent: Extent): void {
    const run = this.run;
    const all = width(extent) >= width(run) * 0.999;
    const atEnd = extent.end >= run.end - width(run) * 1e-6;
    this.extent = within(extent, run);
    if (all || !atEnd || this.follow === 'all') {
      this.setFollow(all ? 'all' : 'no');
    }
    this.changed();
  }

  fit(): void {
    this.show(this.run);
  }

  /** Follow the end of the run, or stay where one is. */
  setLive(on: boolean): void {
    if (on) {
      const run = this.run;
      const all = width(this.extent) >= width(run) * 0.999;
      this.extent = within({ start: run.end - width(this.extent), end: run.end }, run);
      this.setFollow(all ? 'all' : 'tail');
      this.changed();
    } else {
      this.setFollow('no');
    }
  }

  zoomBy(factor: number, at = (this.extent.start + this.extent.end) / 2): void {
    this.show(zoomed(this.extent, factor, at, this.run));
  }

  panBy(pixels: number): void {
    this.show(moved(this.extent, (-pixels * width(this.extent)) / this.pixels, this.run));
  }

  scrollBy(pixels: number): void {
    this.lanes.scrollTo(this.lanes.scroll + pixels);
    this.invalidate();
  }

  select(span: number, reveal = false): void {
    const { model } = this;
    if (span >= 0) {
      const { task, lane } = model.spans;
      this.identity = { task: task[span], lane: model.lanes[lane[span]].id };
      if (reveal) {
        this.lanes.reveal(lane[span]);
        const shown = { start: model.spans.start[span], end: model.endOf(span) };
        if (shown.end < this.extent.start || shown.start > this.extent.end) {
          this.show(revealing(this.extent, shown, this.run));
        }
      }
    }
    if (span !== this.selection) {
      this.selection = span;
      this.events.selected(span);
    }
    this.list.update(span);
    this.invalidate();
  }

  setBrush(brush: Extent | null): void {
    this.brush = brush;
    this.events.brushed(brush);
    this.invalidate();
  }

  /** Draw only these functions in full; empty: all. */
  setNames(names: ReadonlySet<string>): void {
    this.only = names;
    this.invalidate();
  }

  setMoment(at: number | null): void {
    this.at = at;
    this.changed();
  }

  /** From a place on the canvas to a time. */
  timeAt(x: number): number {
    return this.extent.start + ((x - GUTTER_WIDTH) * width(this.extent)) / this.pixels;
  }

  /** From a time to a place on the canvas. */
  placeOf(time: number): number {
    return GUTTER_WIDTH + ((time - this.extent.start) * this.pixels) / width(this.extent);
  }

  /** Where the middle of a span is on the canvas, in CSS pixels: for tests. */
  position(span: number): { x: number; y: number } {
    const { model } = this;
    const place = this.lanes.place(model.spans.lane[span], model.row[span]);
    const x = this.placeOf(model.spans.start[span] + model.spans.duration_ms[span] / 2);
    return { x, y: place.top + place.height / 2 };
  }

  hit(x: number, y: number): number {
    const { lane, row } = this.lanes.at(y);
    const slack = (2 * width(this.extent)) / this.pixels;
    return x < GUTTER_WIDTH ? -1 : this.model.at(lane, this.timeAt(x), slack, row);
  }

  hover(span: number, x = 0, y = 0): void {
    if (span !== this.hovered) {
      this.hovered = span;
      this.tip.hidden = span < 0;
      if (span >= 0) {
        this.tip.textContent = describeSpan(this.model, span);
      }
      this.invalidate();
    }
    if (span >= 0) {
      const left = Math.min(x + 12, this.size.width - this.tip.offsetWidth - 6);
      const below = y + 18;
      const fits = below + this.tip.offsetHeight < this.size.height;
      this.tip.style.left = `${Math.max(4, left)}px`;
      this.tip.style.top = `${fits ? below : Math.max(2, y - this.tip.offsetHeight - 10)}px`;
    }
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.askTimer);
    this.overview.dispose();
    for (const clean of this.cleanup) {
      clean();
    }
    this.canvas.remove();
    this.list.node.remove();
    this.tip.remove();
  }

  private get pixels(): number {
    return Math.max(50, this.size.width - GUTTER_WIDTH);
  }

  private setFollow(follow: 'all' | 'tail' | 'no'): void {
    if (follow !== this.follow) {
      const before = this.follows;
      this.follow = follow;
      if (this.follows !== before) {
        this.events.followed(this.follows);
      }
    }
  }

  private changed(): void {
    this.list.update(this.selection);
    this.overview.update(this.extent, this.at);
    this.invalidate();
    this.askSoon();
  }

  private askSoon(): void {
    this.askTimer ||= window.setTimeout(() => {
      this.askTimer = 0;
      if (!this.model.loaded) {
        return;
      }
      this.events.moved();
      const next = wanted(this.extent, this.pixels, this.run, this.follows, this.asked);
      if (next) {
        this.asked = next;
        this.events.asked(next);
      }
    }, ASK_MS);
  }

  private invalidate(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private draw(): void {
    this.frames += 1;
    drawTimeline(
      this.context,
      {
        model: this.model,
        seen: this.extent,
        lanes: this.lanes,
        colors: this.colors,
        selected: this.selection,
        hovered: this.hovered,
        names: this.only,
        brush: this.brush,
        moment: this.at,
        ...this.size
      },
      this.theme,
      this.canvas.width / this.size.width
    );
  }

  private listen(): void {
    this.cleanup.push(
      onResize(this.host, () => {
        this.resize();
      }),
      onThemeChange(() => {
        this.theme = readTheme(this.host);
        this.invalidate();
      })
    );
    listenToPointer(this);
    listenToKeys(this);
  }

  private resize(): void {
    const ratio = devicePixelRatio || 1;
    this.size = {
      width: Math.max(1, this.host.clientWidth),
      height: Math.max(1, this.host.clientHeight)
    };
    this.canvas.width = Math.round(this.size.width * ratio);
    this.canvas.height = Math.round(this.size.height * ratio);
    this.lanes.arrange(this.model.rows, this.size.height);
    this.overview.resize();
    this.changed();
    this.draw();
  }
}
