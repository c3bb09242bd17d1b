/** The stretch of time that is looked at: zoomed, moved, kept within the run, following its end or not. Pure. */

export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Half a microsecond a pixel: about what times since the epoch can tell apart. */
const WIDTH_MS_MIN = 0.5;
/** A run that has just begun is shown this wide. */
export const RUN_MS_MIN = 100;

export function width(extent: Extent): number {
  return extent.end - extent.start;
}

/** The whole run, with room for its first moments. */
export function whole(first: number, last: number): Extent {
  return { start: first, end: Math.max(last, first + RUN_MS_MIN) };
}

/** Zoom so that what is at `at` stays there; a factor above 1 shows less. */
export function zoomed(extent: Extent, factor: number, at: number, run: Extent): Extent {
  const now = width(extent);
  const next = Math.min(width(run), Math.max(WIDTH_MS_MIN, now / factor));
  const share = now > 0 ? (at - extent.start) / now : 0.5;
  return within({ start: at - share * next, end: at + (1 - share) * next }, run);
}

export function moved(extent: Extent, ms: number, run: Extent): Extent {
  return within({ start: extent.start + ms, end: extent.end + ms }, run);
}

/** The same width, moved into the run; all of the run where it is wider. */
export function within(extent: Extent, run: Extent): Extent {
  const wide = Math.min(width(extent), width(run));
  const start = Math.min(Math.max(extent.start, run.start), run.end - wide);
  return { start, end: start + wide };
}

/** Move as little as shows a stretch; widen where it doesn't fit in. */
export function revealing(extent: Extent, shown: Extent, run: Extent): Extent {
  const wide = width(extent);
  if (width(shown) > wide) {
    const margin = width(shown) * 0.1;
    return within({ start: shown.start - margin, end: shown.end + margin }, run);
  }
  if (shown.start < extent.start) {
    return within({ start: shown.start - wide * 0.1, end: shown.start + wide * 0.9 }, run);
  }
  if (shown.end > extent.end) {
    return within({ start: shown.end - wide * 0.9, end: shown.end + wide * 0.1 }, run);
  }
  return extent;
}

export interface Asked extends Extent {
  readonly buckets: number;
  /** Until now, and live. */
  readonly live: boolean;
}

/** Pixels beside what is seen that are asked for, too, as a part of it: so moving a little shows no gap. */
const MARGIN = 0.5;
/** How much coarser than a pixel what is there may be before it is asked for anew. */
const COARSE_MAX = 1.6;

/** What to ask the hub for to show an extent in so many pixels; null: what was asked for will do. */
export function wanted(
  seen: Extent,
  pixels: number,
  run: Extent,
  follows: boolean,
  asked: Asked | null
): Asked | null {
  const all = width(seen) >= width(run) * 0.999;
  const margin = all ? 0 : width(seen) * MARGIN;
  const start = all ? run.start : Math.max(run.start, seen.start - margin);
  const end = Math.min(run.end, seen.end + margin);
  const live = follows || end >= run.end;
  const buckets = Math.max(50, Math.round((pixels * (end - start)) / Math.max(width(seen), 1e-9)));
  if (asked) {
    const askedStart = Math.max(asked.start, run.start);
    const askedEnd = asked.live ? Math.max(run.end, asked.end) : asked.end;
    const fine = (askedEnd - askedStart) / asked.buckets;
    const pixel = width(seen) / Math.max(1, pixels);
    const covers =
      askedStart <= Math.max(run.start, seen.start) &&
      (asked.live || askedEnd >= Math.min(seen.end, run.end));
    // Far finer than needed would be cut off by the hub's bound on spans.
    if (covers && fine <= pixel * COARSE_MAX && fine * 4 >= pixel && (asked.live || !follows)) {
      return null;
    }
  }
  return { start, end, buckets, live };
}

const STEPS = [1, 2, 5];

/** Round moments for an axis, at least so many pixels apart, and how they are called: as time since `origin`. */
export function ticks(
  extent: Extent,
  pixels: number,
  origin: number,
  apart = 90
): { at: number; label: string }[] {
  const least = (width(extent) * apart) / Math.max(1, pixels);
  const step = roundStep(least);
  const found: { at: number; label: string }[] = [];
  const first = Math.ceil((extent.start - origin) / step - 1e-9);
  for (let k = first; origin + k * step <= extent.end && found.length < 200; k++) {
    found.push({ at: origin + k * step, label: since(k * step, step) });
  }
  return found;
}

function roundStep(least: number): number {
  for (const step of [60_000, 300_000, 900_000, 3_600_000, 10_800_000, 43_200_000, 86_400_000]) {
    if (least > 30_000 && step >= least) {
      return step;
    }
  }
  if (least <= 30_000 && least > 10_000) {
    return 30_000;
  }
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-6)));
  return (STEPS.find(factor => factor * power >= least) ?? 10) * power;
}

/** A time since the run's start, as exact as `exact` milliseconds: 1:05, 12.5 s, 830 ms. */
export function since(ms: number, exact: number): string {
  const sign = ms < -1e-9 ? '−' : '';
  const value = Math.abs(ms);
  if (value >= 60_000) {
    const hours = Math.floor(value / 3_600_000);
    const minutes = Math.floor((value % 3_600_000) / 60_000);
    const seconds = (value % 60_000) / 1000;
    const digits = exact < 1000 ? Math.min(3, Math.ceil(-Math.log10(exact / 1000))) : 0;
    const tail = seconds.toFixed(digits).padStart(digits ? 3 + digits : 2, '0');
    return hours
      ? `${sign}${hours}:${String(minutes).padStart(2, '0')}:${tail}`
      : `${sign}${minutes}:${tail}`;
  }
  if (exact >= 100 || value >= 1000) {
    const digits = exact >= 1000 ? 0 : Math.min(6, Math.ceil(-Math.log10(exact / 1000) - 1e-9));
    return `${sign}${(value / 1000).toFixed(digits)} s`;
  }
  const digits = exact >= 1 ? 0 : Math.min(4, Math.ceil(-Math.log10(exact) - 1e-9));
  return `${sign}${value.toFixed(digits)} ms`;
}
