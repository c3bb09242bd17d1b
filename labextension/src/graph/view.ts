/**
 * The task graph on screen: a canvas to look at and point at, and a list box beside it that says the same to keyboards
 * and screen readers. Knows no JupyterLab, so that it serves notebook widgets, too.
 *
 * A canvas in two dimensions, not WebGL: what is shown is bounded to some hundred cards with text, which it draws in a
 * few milliseconds even without a GPU, and a page may have as many of them as it likes.
 */
import { element } from '../dom/elements';
import {
  onResize,
  onThemeChange,
  readTheme,
  RUNNING,
  wantsStillness,
  type Theme
} from '../dom/theme';
import type { GraphModel } from '../model/graph';
import { Camera } from './camera';
import { betterDirection } from './direction';
import { bothWays } from './edges';
import { listenToKeys, listenToPointer, type Gestures, type Way } from './gestures';
import { EMPTY, layout, runSliced, type Direction, type Layout, type Point } from './layout';
import { GraphList } from './listbox';
import { bounds, neighbour, nodeAt } from './places';
import { drawScene } from './scene';

export interface GraphEvents {
  selected: (id: string) => void;
  /** Double click or Enter: to the notebook cell. */
  opened: (id: string) => void;
  /** Shift and click, or E: to the single tasks. */
  expanded: (id: string) => void;
}

const MOVE_MS = 350;
const PULSE_MS = 1600;
/**
 * While tasks run, the processor is theirs: without a GPU a frame takes it for 5 ms. A halo grows by half a pixel in one
 * of these, and what glides has half of a screen's frames.
 */
const PULSE_FRAME_MS = 200;
const MOVE_FRAME_MS = 20;
/** How much larger a graph must become for it to turn: the first time, and when it is known already. */
const TURN_GAIN = { first: 1.1, later: 1.35 };

export class GraphView {
  readonly list: HTMLElement;
  private words: GraphList;
  /** How often it has drawn, for measurements. */
  frames = 0;
  private canvas: HTMLCanvasElement;
  private context: CanvasRenderingContext2D;
  private camera = new Camera();
  private theme: Theme;
  private layout: Layout = EMPTY;
  private shown = new Map<string, Point>();
  private moving: { from: Map<string, Point>; start: number } | null = null;
  private structure = -1;
  private pairs = new Set<string>();
  private arranging = false;
  private giveUp: () => void = () => undefined;
  private selection = '';
  private hovered = '';
  private critical = false;
  private userMoved = false;
  private frame = 0;
  private frameTimer = 0;
  private cleanup: (() => void)[] = [];

  constructor(
    private host: HTMLElement,
    private model: GraphModel,
    private events: GraphEvents
  ) {
    this.canvas = element('canvas', { class: 'raynb-Graph-canvas', 'aria-hidden': 'true' });
    const context = this.canvas.getContext('2d', { alpha: false });
    if (!context) {
      throw new Error('raynb: this browser has no canvas to draw on');
    }
    this.context = context;
    this.words = new GraphList(model);
    this.list = this.words.node;
    host.classList.add('raynb-Graph');
    host.append(this.canvas, this.list);
    this.theme = readTheme(host);
    this.listen();
  }

  get selected(): string {
    return this.selection;
  }

  /** Call after the model has changed. */
  update(): void {
    this.words.update();
    if (this.selection && !this.model.nodes.has(this.selection)) {
      this.select('');
    }
    if (this.structure !== this.model.structure) {
      this.structure = this.model.structure;
      this.pairs = bothWays(this.model.edges.values());
      this.arrange(this.layout);
    }
    this.invalidate();
  }

  /** A layout from scratch: what has grown in bit by bit is set in order again. */
  tidy(): void {
    this.userMoved = false;
    this.arrange(EMPTY);
  }

  /** Forget all places: another graph comes. */
  reset(): void {
    this.giveUp();
    this.layout = EMPTY;
    this.shown.clear();
    this.moving = null;
    this.userMoved = false;
    this.select('');
    this.invalidate();
  }

  select(id: string, reveal = false): void {
    if (id === this.selection) {
      return;
    }
    this.selection = id;
    this.words.select(id);
    const at = this.layout.places.get(id);
    if (at && reveal) {
      this.camera.reveal(bounds([at]));
    }
    this.invalidate();
    this.events.selected(id);
  }

  showCritical(on: boolean): void {
    this.critical = on;
    this.invalidate();
  }

  fit(): void {
    this.userMoved = false;
    this.fitNow();
    this.invalidate();
  }

  zoomBy(factor: number, at?: Point): void {
    this.userMoved = true;
    this.camera.zoomAt(factor, at);
    this.invalidate();
  }

  panBy(dx: number, dy: number): void {
    this.userMoved = true;
    this.camera.pan(dx, dy);
    this.invalidate();
  }

  /** Whether all is where it is to be: no layout is under way, and nothing glides. */
  get resting(): boolean {
    return !this.arranging && !this.moving && this.shown.size > 0;
  }

  /** Where a node is in the canvas, in CSS pixels: for tests and for whoever puts something beside it. */
  position(id: string): Point | null {
    const at = this.shown.get(id);
    return at ? this.camera.toScreen(at) : null;
  }

  dispose(): void {
    this.giveUp();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.frameTimer);
    for (const clean of this.cleanup) {
      clean();
    }
    this.canvas.remove();
    this.list.remove();
  }

  private arrange(before: Layout, direction: Direction = before.direction, turned = false): void {
    this.giveUp();
    this.arranging = true;
    const nodes = [...this.model.nodes.keys()];
    const input = { direction, nodes, edges: [...this.model.edges.values()] };
    this.giveUp = runSliced(layout(input, before), found => {
      const better = turned ? direction : this.better(found, before === EMPTY);
      if (better === direction) {
        this.arranging = false;
        this.layout = found;
        this.move();
      } else {
        this.arrange(EMPTY, better, true);
      }
    });
  }

  /** Which way a graph had better run; whoever has moved it keeps it as it is. */
  private better(found: Layout, first: boolean): Direction {
    if (this.userMoved || found.places.size === 0 || this.camera.width <= 1) {
      return found.direction;
    }
    const gain = first ? TURN_GAIN.first : TURN_GAIN.later;
    return betterDirection(bounds(found.places.values()), found.direction, this.camera, gain);
  }

  /** Glide to the new places; what is new fades in where it belongs. */
  private move(): void {
    const from = new Map<string, Point>();
    for (const [id, to] of this.layout.places) {
      from.set(id, this.shown.get(id) ?? to);
    }
    const first = this.shown.size === 0;
    this.shown = from;
    this.moving =
      first || wantsStillness() ? null : { from: new Map(from), start: performance.now() };
    if (!this.moving) {
      this.shown = new Map(this.layout.places);
    }
    if (!this.userMoved) {
      this.fitNow();
    }
    this.invalidate();
  }

  private fitNow(): void {
    if (this.layout.places.size) {
      this.camera.fit(bounds(this.layout.places.values()));
    }
  }

  private invalidate(): void {
    this.frame ||= requestAnimationFrame(now => {
      this.frame = 0;
      this.draw(now);
    });
  }

  private draw(now: number): void {
    this.frames += 1;
    this.step(now);
    const lit = this.hovered || this.selection;
    const lineage = lit && this.model.nodes.has(lit) ? this.model.lineage(lit) : null;
    const related = lineage ? [...lineage.ancestors, ...lineage.descendants] : [];
    const still = wantsStillness();
    drawScene(
      this.context,
      {
        nodes: this.model.nodes.values(),
        edges: this.model.edges.values(),
        bothWays: this.pairs,
        direction: this.layout.direction,
        places: this.shown,
        routes: this.moving ? EMPTY.routes : this.layout.routes,
        selected: this.selection,
        hovered: this.hovered,
        // Who has nothing before or after it puts nobody in the shade.
        lit: related.length ? new Set([lit, ...related]) : null,
        critical: this.critical ? this.model.critical : null,
        pulse: still ? -1 : (now % PULSE_MS) / PULSE_MS
      },
      this.camera,
      this.theme,
      this.canvas.width / Math.max(1, this.camera.width)
    );
    clearTimeout(this.frameTimer);
    const runs = this.anyRuns();
    if (this.moving && !runs) {
      this.invalidate();
    } else if (this.moving || (runs && !still)) {
      const pause = this.moving ? MOVE_FRAME_MS : PULSE_FRAME_MS;
      this.frameTimer = window.setTimeout(() => {
        this.invalidate();
      }, pause);
    }
  }

  private step(now: number): void {
    if (!this.moving) {
      return;
    }
    const t = Math.min(1, Math.max(0, (now - this.moving.start) / MOVE_MS));
    const eased = 1 - (1 - t) ** 3;
    for (const [id, to] of this.layout.places) {
      const from = this.moving.from.get(id) ?? to;
      this.shown.set(id, {
        x: from.x + (to.x - from.x) * eased,
        y: from.y + (to.y - from.y) * eased
      });
    }
    if (t === 1) {
      this.shown = new Map(this.layout.places);
      this.moving = null;
    }
  }

  private anyRuns(): boolean {
    for (const node of this.model.nodes.values()) {
      if (node.counts[RUNNING] > 0) {
        return true;
      }
    }
    return false;
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
    const gestures = this.gestures();
    listenToPointer(this.canvas, gestures);
    listenToKeys(this.list, gestures);
  }

  private gestures(): Gestures {
    return {
      hit: at => nodeAt(this.shown, this.camera.toWorld(at)),
      hover: id => {
        this.hover(id);
      },
      select: id => {
        this.select(id);
      },
      expand: this.events.expanded,
      open: this.events.opened,
      panBy: (dx, dy) => {
        this.panBy(dx, dy);
      },
      zoomBy: (factor, at) => {
        this.zoomBy(factor, at);
      },
      fit: () => {
        this.fit();
      },
      go: way => {
        this.go(way);
      },
      focus: () => {
        this.list.focus({ preventScroll: true });
      },
      selected: () => this.selection
    };
  }

  private hover(id: string): void {
    if (id !== this.hovered) {
      this.hovered = id;
      this.canvas.style.cursor = id ? 'pointer' : '';
      this.invalidate();
    }
  }

  private go(way: Way): void {
    const next = neighbour(this.layout, this.model, this.selection, way);
    if (next) {
      this.select(next, true);
    }
  }

  private resize(): void {
    const ratio = devicePixelRatio || 1;
    this.camera.width = Math.max(1, this.host.clientWidth);
    this.camera.height = Math.max(1, this.host.clientHeight);
    this.canvas.width = Math.round(this.camera.width * ratio);
    this.canvas.height = Math.round(this.camera.height * ratio);
    if (!this.userMoved) {
      this.fitNow();
      if (this.better(this.layout, false) !== this.layout.direction) {
        this.arrange(EMPTY);
      }
    }
    this.draw(performance.now());
  }
}
