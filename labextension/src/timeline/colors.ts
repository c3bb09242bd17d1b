/**
 * A colour for each function, the same in every picture: by its name, and where two names want the same colour, the later
 * one takes the next that is free. Beyond the palette a pattern tells them apart. Pure.
 */
import { NAME_COLORS } from '../dom/theme';

export interface NameLook {
  color: string;
  /** What is written on it. */
  ink: string;
  /** How many names had its colour before: drawn as that many stripes. */
  round: number;
}

export class NameColors {
  private looks = new Map<string, NameLook>();
  private taken: number[] = new Array<number>(NAME_COLORS.length).fill(0);

  of(name: string): NameLook {
    let look = this.looks.get(name);
    if (!look) {
      const least = Math.min(...this.taken);
      let at = hash(name) % NAME_COLORS.length;
      while (this.taken[at] > least) {
        at = (at + 1) % NAME_COLORS.length;
      }
      look = { color: NAME_COLORS[at], ink: inkOn(NAME_COLORS[at]), round: this.taken[at]++ };
      this.looks.set(name, look);
    }
    return look;
  }
}

/** Black or white, whichever is easier to read on a colour. */
export function inkOn(color: string): string {
  const [r, g, b] = [1, 3, 5].map(at => {
    const value = parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return 1.05 / (light + 0.05) > (light + 0.05) / 0.05 ? '#ffffff' : '#000000';
}

/** FNV-1a: short, and the same everywhere. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return value;
}
