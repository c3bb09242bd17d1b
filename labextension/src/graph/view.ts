/**
 * The task graph on screen: a canvas to look at and point at, and a list box beside it that says the same to keyboards
 * and screen readers. Knows no JupyterLab, so that it serves notebook widgets, too.
 *
 * A canvas in two dimensions, not WebGL: what is shown is bounded to some hundred cards with text, which it draws in a
 * few milliseconds even without a GPU, and a page may have as many of them as it likes.
 */
import { element } from '../dom/elements';
import { onThemeChange, readTheme, RUNNING, wantsStillness, type Theme } from '../dom/theme';
import { count, describeCounts, duration } from '../dom/words';
import type { GraphNode } from '../generated/screen';
import type { GraphModel } from '../model/graph';
import { Camera } from './camera';
import { EMPTY, layout, runSliced, type Layout, type Point } from './layout';
import { along, beside, bounds, first, nodeAt } from './places';
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
const PULSE_FRAME_MS = 60;
let instances = 0;

export class GraphView {
  readonly list: HTMLElement;
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
  private giveUp: () => void = () => undefined;
  private options = new Map<string, HTMLElement>();
  private prefix = `raynb-graph-${++instances}-`;
  private selection = '';
  private hovered = '';
  private critical = false;
  private userMoved = false;
  private frame = 0;
  private pulseTimer = 0;
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
    this.list = element('div', { class: 'raynb-Graph-list', role: 'listbox', label: 'Task graph' });
    this.list.tabIndex = 0;
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
    this.describe();
    if (this.structure !== this.model.structure) {
      this.structure = this.model.structure;
      this.arrange(this.layout);
    }
    this.invalidate();
  }

  /** A layout from scratch: what has grown in bit by bit is set in order again. */
  tidy(): void {
    this.arrange(EMPTY);
    this.userMoved = false;
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
    this.options.get(this.selection)?.setAttribute('aria-selected', 'false');
    this.selection = id;
    const option = this.options.get(id);
    option?.setAttribute('aria-selected', 'true');
    if (option) {
      this.list.setAttribute('aria-activedescendant', option.id);
    } else {
      this.list.removeAttribute('aria-activedescendant');
    }
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

  zoomBy(factor: number): void {
    this.userMoved = true;
    this.camera.zoomAt(factor);
    this.invalidate();
  }

  panBy(dx: number, dy: number): void {
    this.userMoved = true;
    this.camera.pan(dx, dy);
    this.invalidate();
  }

  /** Where a node is in the canvas, in CSS pixels: for tests and for whoever puts something beside it. */
  position(id: string): Point | null {
    const at = this.shown.get(id);
    return at ? this.camera.toScreen(at) : null;
  }

  dispose(): void {
    this.giveUp();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.pulseTimer);
    for (const clean of this.cleanup) {
      clean();
    }
    this.canvas.remove();
    this.list.remove();
  }

  private arrange(before: Layout): void {
    this.giveUp();
    const input = { nodes: [...this.model.nodes.keys()], edges: [...this.model.edges.values()] };
    this.giveUp = runSliced(layout(input, before), found => {
      this.layout = found;
      this.move();
    });
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
    const still = wantsStillness();
    drawScene(
      this.context,
      {
        nodes: this.model.nodes.values(),
        edges: this.model.edges.values(),
        places: this.shown,
        routes: this.moving ? EMPTY.routes : this.layout.routes,
        selected: this.selection,
        hovered: this.hovered,
        lit: lineage ? new Set([lit, ...lineage.ancestors, ...lineage.descendants]) : null,
        critical: this.critical ? this.model.critical : null,
        pulse: still ? -1 : (now % PULSE_MS) / PULSE_MS
      },
      this.camera,
      this.theme,
      this.canvas.width / Math.max(1, this.camera.width)
    );
    if (this.moving) {
      this.invalidate();
    } else if (!still && this.anyRuns()) {
      clearTimeout(this.pulseTimer);
      this.pulseTimer = window.setTimeout(() => {
        this.invalidate();
      }, PULSE_FRAME_MS);
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

  /** Keeps the list box as the canvas is. */
  private describe(): void {
    for (const [id, option] of this.options) {
      if (!this.model.nodes.has(id)) {
        option.remove();
        this.options.delete(id);
        if (id === this.selection) {
          this.select('');
        }
      }
    }
    let number = this.options.size;
    for (const node of this.model.nodes.values()) {
      let option = this.options.get(node.id);
      if (!option) {
        option = element('div', { role: 'option', 'aria-selected': 'false' });
        option.id = `${this.prefix}${++number}-${node.id}`;
        option.dataset.node = node.id;
        this.options.set(node.id, option);
        this.list.append(option);
      }
      const words = this.words(node);
      if (option.textContent !== words) {
        option.textContent = words;
      }
    }
  }

  private words(node: GraphNode): string {
    const time = node.duration_ms > 0 ? `, ${duration(node.duration_ms)}` : '';
    const before = this.model.predecessors(node.id).size;
    const after = this.model.successors(node.id).size;
    return (
      `${node.label}, ${node.kind}: ${describeCounts(node.counts)}${time}. ` +
      `${count(before)} before, ${count(after)} after it.`
    );
  }

  private listen(): void {
    const resize = new ResizeObserver(() => {
      this.resize();
    });
    resize.observe(this.host);
    this.cleanup.push(
      () => {
        resize.disconnect();
      },
      onThemeChange(() => {
        this.theme = readTheme(this.host);
        this.invalidate();
      })
    );
    this.listenToPointer();
    this.list.addEventListener('keydown', event => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey && this.key(event)) {
        event.preventDefault();
        event.stopPropagation();
      }
    });
    this.list.addEventListener('focus', () => {
      if (!this.selection && this.list.matches(':focus-visible')) {
        this.selectFirst();
      }
    });
  }

  private listenToPointer(): void {
    const canvas = this.canvas;
    let pressed: Point | null = null;
    let dragged = false;
    canvas.addEventListener('pointerdown', event => {
      if (event.button === 0) {
        pressed = { x: event.clientX, y: event.clientY };
        dragged = false;
        canvas.setPointerCapture(event.pointerId);
        this.list.focus({ preventScroll: true });
        event.preventDefault();
      }
    });
    canvas.addEventListener('pointermove', event => {
      if (pressed && event.buttons & 1) {
        const [dx, dy] = [event.clientX - pressed.x, event.clientY - pressed.y];
        dragged ||= Math.hypot(dx, dy) > 4;
        if (dragged) {
          this.panBy(dx, dy);
          pressed = { x: event.clientX, y: event.clientY };
        }
      } else {
        this.hover(this.hit(event));
      }
    });
    canvas.addEventListener('pointerup', event => {
      if (pressed && !dragged) {
        const id = this.hit(event);
        this.select(id);
        if (id && event.shiftKey) {
          this.events.expanded(id);
        }
      }
      pressed = null;
    });
    canvas.addEventListener('pointerleave', () => {
      this.hover('');
    });
    canvas.addEventListener('dblclick', event => {
      const id = this.hit(event);
      if (id) {
        this.events.opened(id);
      }
    });
    canvas.addEventListener(
      'wheel',
      event => {
        event.preventDefault();
        this.userMoved = true;
        const step = event.deltaMode === 1 ? 30 : 1;
        const factor = Math.exp(-event.deltaY * step * (event.ctrlKey ? 0.01 : 0.0015));
        this.camera.zoomAt(factor, { x: event.offsetX, y: event.offsetY });
        this.invalidate();
      },
      { passive: false }
    );
  }

  private hover(id: string): void {
    if (id !== this.hovered) {
      this.hovered = id;
      this.canvas.style.cursor = id ? 'pointer' : '';
      this.invalidate();
    }
  }

  private hit(event: MouseEvent): string {
    const at = this.camera.toWorld({ x: event.offsetX, y: event.offsetY });
    return nodeAt(this.shown, at);
  }

  private key(event: KeyboardEvent): boolean {
    if (event.shiftKey && event.key.startsWith('Arrow')) {
      const [dx, dy] = {
        ArrowLeft: [60, 0],
        ArrowRight: [-60, 0],
        ArrowUp: [0, 60],
        ArrowDown: [0, -60]
      }[event.key] ?? [0, 0];
      this.panBy(dx, dy);
      return true;
    }
    switch (event.key) {
      case 'ArrowLeft':
        return this.go(from =>
          along(this.layout.places, from, this.model.predecessors(this.selection))
        );
      case 'ArrowRight':
        return this.go(from =>
          along(this.layout.places, from, this.model.successors(this.selection))
        );
      case 'ArrowUp':
        return this.go(from => beside(this.layout.places, from, -1));
      case 'ArrowDown':
        return this.go(from => beside(this.layout.places, from, 1));
      case 'Home':
        return this.selectFirst();
      case '+':
      case '=':
        this.zoomBy(1.25);
        return true;
      case '-':
        this.zoomBy(0.8);
        return true;
      case '0':
        this.fit();
        return true;
      case 'Escape':
        this.select('');
        return true;
      case 'Enter':
      case 'e':
        if (this.selection) {
          this.events[event.key === 'e' ? 'expanded' : 'opened'](this.selection);
        }
        return true;
      default:
        return false;
    }
  }

  /** Select what a key leads to; without a selection the first. */
  private go(to: (from: Point) => string): boolean {
    const from = this.layout.places.get(this.selection);
    if (!from) {
      return this.selectFirst();
    }
    const next = to(from);
    if (next) {
      this.select(next, true);
    }
    return true;
  }

  private selectFirst(): boolean {
    this.select(first(this.layout.places) || this.selection, true);
    return true;
  }

  private resize(): void {
    const ratio = devicePixelRatio || 1;
    this.camera.width = Math.max(1, this.host.clientWidth);
    this.camera.height = Math.max(1, this.host.clientHeight);
    this.canvas.width = Math.round(this.camera.width * ratio);
    this.canvas.height = Math.round(this.camera.height * ratio);
    if (!this.userMoved) {
      this.fitNow();
    }
    this.draw(performance.now());
  }
}
