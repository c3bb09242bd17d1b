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

export function size(bytes: number): string {
  if (bytes >= 2 ** 30) {
    return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  }
  if (bytes >= 2 ** 20) {
    return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  }
  return bytes ? `${(bytes / 2 ** 10).toFixed(0)} KiB` : '0';
}

/** Part of a whole, 0 to 1; nothing of nothing is 0. */
export function part(used: number, total: number): number {
  return total > 0 ? Math.min(1, Math.max(0, used / total)) : 0;
}
