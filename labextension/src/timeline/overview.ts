/**
 * The whole run in one strip: how many tasks waited and ran, which part of it is looked at, and a slider that moves all
 * panels to a moment of it.
 */
import { element } from '../dom/elements';
import { onThemeChange, readTheme, RUNNING, type Theme } from '../dom/theme';
import { count } from '../dom/words';
import type { TimelineModel } from '../model/timeline';
import { GUTTER_WIDTH } from './lanes';
import { since, whole, width, type Extent } from './window';

const HEIGHT = 44;
const STEPS = 1000;
const PENDING = 1;
/** So near to an end of the window the pointer takes hold of that end. */
const GRIP = 6;

export interface OverviewEvents {
  /** Look at another part of the run. */
  seen: (extent: Extent) => void;
  /** Look at a moment; null: now. */
  moment: (at: number | null) => void;
}

export class Overview {
  readonly node = element('div', { class: 'raynb-Overview' });
  readonly slider = element('input', { class: 'raynb-Overview-slider' });
  private canvas = element('canvas', { class: 'raynb-Overview-canvas', 'aria-hidden': 'true' });
  private label = element('div', { class: 'raynb-Overview-label' });
  private seen: Extent = { start: 0, end: 1 };
  private at: number | null = null;
  private theme: Theme;
  private cleanup: (() => void)[] = [];

  constructor(
    private model: TimelineModel,
    private events: OverviewEvents
  ) {
    this.slider.type = 'range';
    this.slider.min = '0';
    this.slider.max = String(STEPS);
    this.slider.value = String(STEPS);
    this.slider.setAttribute('aria-label', 'Moment of the run that all panels show');
    this.slider.addEventListener('input', () => {
      this.slide();
    });
    const stage = element('div', { class: 'raynb-Overview-stage' }, this.canvas, this.slider);
    this.node.append(this.label, stage);
    this.label.style.width = `${GUTTER_WIDTH}px`;
    this.theme = readTheme(this.node);
    this.listen();
  }

  /** Call after the model has changed, or what is looked at. */
  update(seen: Extent, at: number | null): void {
    this.seen = seen;
    this.at = at;
    const run = this.run;
    const value = at === null ? STEPS : (STEPS * (at - run.start)) / width(run);
    if (document.activeElement !== this.slider || at === null) {
      this.slider.value = String(Math.round(value));
    }
    this.slider.setAttribute('aria-valuetext', this.words());
    this.draw();
  }

  resize(): void {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(HEIGHT * ratio);
    this.theme = readTheme(this.node);
    this.draw();
  }

  dispose(): void {
    for (const clean of this.cleanup) {
      clean();
    }
  }

  private get run(): Extent {
    return whole(this.model.first, this.model.last);
  }

  private words(): string {
    if (this.at === null) {
      return 'now, live';
    }
    const run = this.run;
    return `${since(this.at - run.start, width(run) / STEPS)} after the start`;
  }

  private slide(): void {
    const run = this.run;
    const value = Number(this.slider.value);
    this.events.moment(value >= STEPS ? null : run.start + (value / STEPS) * width(run));
  }

  private draw(): void {
    const context = this.canvas.getContext('2d', { alpha: false });
    const wide = this.canvas.clientWidth;
    if (!context || !wide) {
      return;
    }
    const { theme, model } = this;
    const ratio = this.canvas.width / wide;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = theme.ground;
    context.fillRect(0, 0, wide, HEIGHT);
    const run = this.run;
    const x = (time: number): number => ((time - run.start) / width(run)) * wide;
    const most = (column: 1 | 2): number =>
      model.waiting.reduce((max, sample) => Math.max(max, sample[column]), 1);
    // Two scales: a handful run while thousands wait, and both are worth seeing.
    this.area(context, x, 1, most(1), HEIGHT - 4, theme.states[PENDING], 0.55);
    this.area(context, x, 2, most(2), (HEIGHT - 4) * 0.45, theme.states[RUNNING], 0.9);
    const [left, right] = [x(this.seen.start), x(this.seen.end)];
    context.globalAlpha = 0.62;
    context.fillStyle = theme.ground;
    context.fillRect(0, 0, left, HEIGHT);
    context.fillRect(right, 0, wide - right, HEIGHT);
    context.globalAlpha = 1;
    context.strokeStyle = theme.strong;
    context.lineWidth = 1.5;
    context.strokeRect(left + 0.75, 0.75, Math.max(2, right - left - 1.5), HEIGHT - 1.5);
    if (this.at !== null) {
      context.fillStyle = theme.text;
      context.fillRect(x(this.at) - 1, 0, 2, HEIGHT);
    }
    this.write(most(1), most(2));
  }

  private area(
    context: CanvasRenderingContext2D,
    x: (time: number) => number,
    column: 1 | 2,
    most: number,
    high: number,
    color: string,
    alpha: number
  ): void {
    const samples = this.model.waiting;
    if (samples.length < 2) {
      return;
    }
    context.globalAlpha = alpha;
    context.fillStyle = color;
    context.beginPath();
    context.moveTo(x(samples[0][0]), HEIGHT);
    for (const sample of samples) {
      context.lineTo(x(sample[0]), HEIGHT - (sample[column] / most) * high);
    }
    context.lineTo(x(samples[samples.length - 1][0]), HEIGHT);
    context.fill();
    context.globalAlpha = 1;
  }

  private write(waiting: number, running: number): void {
    const known = this.model.waiting.length > 1;
    const texts = known
      ? [`waiting ≤ ${count(waiting)}`, `running ≤ ${count(running)}`]
      : ['the whole run'];
    if (this.label.textContent !== texts.join('')) {
      const kinds = ['waiting', 'running'];
      this.label.replaceChildren(
        ...texts.map((text, i) =>
          element('span', { text, class: known ? `raynb-mod-${kinds[i]}` : '' })
        )
      );
    }
  }

  private listen(): void {
    this.cleanup.push(
      onThemeChange(() => {
        this.theme = readTheme(this.node);
        this.draw();
      })
    );
    let grip: { part: 'start' | 'end' | 'middle' | 'new'; from: number; seen: Extent } | null =
      null;
    const time = (event: PointerEvent): number => {
      const run = this.run;
      const share = event.offsetX / Math.max(1, this.canvas.clientWidth);
      return run.start + Math.min(1, Math.max(0, share)) * width(run);
    };
    this.canvas.addEventListener('pointerdown', event => {
      if (event.button === 0) {
        grip = { part: this.part(event.offsetX), from: time(event), seen: this.seen };
        this.canvas.setPointerCapture(event.pointerId);
        event.preventDefault();
      }
    });
    this.canvas.addEventListener('pointermove', event => {
      if (grip) {
        this.drag(grip, time(event));
      } else {
        const part = this.part(event.offsetX);
        this.canvas.style.cursor =
          part === 'middle' ? 'grab' : part === 'new' ? 'crosshair' : 'ew-resize';
      }
    });
    for (const end of ['pointerup', 'pointercancel'] as const) {
      this.canvas.addEventListener(end, () => (grip = null));
    }
  }

  private part(x: number): 'start' | 'end' | 'middle' | 'new' {
    const run = this.run;
    const scale = this.canvas.clientWidth / width(run);
    const left = (this.seen.start - run.start) * scale;
    const right = (this.seen.end - run.start) * scale;
    const all = width(this.seen) >= width(run) * 0.999;
    if (Math.abs(x - left) <= GRIP) {
      return 'start';
    }
    if (Math.abs(x - right) <= GRIP) {
      return 'end';
    }
    return x > left && x < right && !all ? 'middle' : 'new';
  }

  private drag(
    grip: { part: 'start' | 'end' | 'middle' | 'new'; from: number; seen: Extent },
    now: number
  ): void {
    const { seen, from } = grip;
    const run = this.run;
    if (grip.part === 'middle') {
      const by = Math.min(run.end - seen.end, Math.max(run.start - seen.start, now - from));
      this.events.seen({ start: seen.start + by, end: seen.end + by });
      return;
    }
    const fixed = grip.part === 'start' ? seen.end : grip.part === 'end' ? seen.start : from;
    const [start, end] = fixed < now ? [fixed, now] : [now, fixed];
    if (end - start > width(run) / 500) {
      this.events.seen({ start, end });
    }
  }
}
