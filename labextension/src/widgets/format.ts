/** Numbers for people, as `raynb.widgets.text` writes them. */

const NARROW_SPACE = '\u202f';

export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, NARROW_SPACE);
}

/** A number that may be broken, as short as it is exact enough. */
export function amount(value: number): string {
  return value < 10 && value !== Math.round(value) ? value.toFixed(1) : count(value);
}

/** `4.2 s`, `3:07 min`, `2:05 h`. */
export function duration(seconds: number): string {
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  if (seconds < 60) {
    return `${seconds.toFixed(0)} s`;
  }
  const inHours = seconds >= 3600;
  const whole = Math.round(inHours ? seconds / 60 : seconds);
  const small = String(whole % 60).padStart(2, '0');
  return `${String(Math.floor(whole / 60))}:${small} ${inHours ? 'h' : 'min'}`;
}

const UNITS = [
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3]
] as const;

/** Bytes, as `raynb.runtime.messages.sizes` writes them. */
export function size(bytes: number): string {
  for (const [unit, factor] of UNITS) {
    if (bytes >= 0.99995 * factor) {
      return `${(bytes / factor).toFixed(1)} ${unit}`;
    }
  }
  return `${bytes.toFixed(0)} B`;
}

/** Part of a whole, 0 to 1; nothing of nothing is 0. */
export function part(used: number, total: number): number {
  return total > 0 ? Math.min(1, Math.max(0, used / total)) : 0;
}
