/** Numbers as people read them. */
import { STATES } from './theme';

const whole = new Intl.NumberFormat('en');

export function count(number: number): string {
  return whole.format(Math.round(number));
}

/** 12,345 stays exact where there is room; on a small node 12.3k. */
export function shortCount(number: number): string {
  if (number < 10_000) {
    return count(number);
  }
  const [value, unit] = number < 1e6 ? [number / 1e3, 'k'] : [number / 1e6, 'M'];
  return `${value < 100 ? value.toFixed(1) : value.toFixed(0)}${unit}`;
}

/** Bytes, as everything else of raynb says them. */
export { size as bytes } from '../widgets/format';

export function duration(ms: number): string {
  if (ms < 1) {
    return ms <= 0 ? '0 ms' : `${(ms * 1000).toFixed(0)} µs`;
  }
  if (ms < 1000) {
    return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  }
  if (ms < 60_000) {
    return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  }
  const seconds = Math.round(ms / 1000);
  return seconds < 3600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function total(counts: readonly number[]): number {
  return counts.reduce((sum, value) => sum + value, 0);
}

/** "3 run, 12 finished", for whoever can't see the bar. */
export function describeCounts(counts: readonly number[]): string {
  const parts = STATES.map((look, i) => [counts[i], look.label] as const).filter(([n]) => n > 0);
  return parts.length
    ? parts.map(([n, label]) => `${count(n)} ${verb(label, n)}`).join(', ')
    : 'no tasks';
}

/** A state's label as it goes with a number of tasks. */
export function verb(label: string, number: number): string {
  return number === 1
    ? label
    : label
        .replace(/^waits/, 'wait')
        .replace('its', 'their')
        .replace(/^runs/, 'run');
}
