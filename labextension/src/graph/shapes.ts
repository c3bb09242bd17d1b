/** What nodes and edges are drawn with alike. */

/** Below this zoom small print can't be read: of a card only its name, its sign and its bar remain. */
export const ZOOM_TEXT = 0.5;
/** How much is left of what does not belong to what is singled out. */
export const FADED = 0.16;

export function roundRect(
  context: CanvasRenderingContext2D,
  left: number,
  top: number,
  width: number,
  height: number,
  radius: number
): void {
  context.beginPath();
  context.roundRect(left, top, width, height, radius);
}

const widths = new Map<string, string>();
/** More is never drawn, however small. */
const TEXT_MAX = 200;

/** As much of a text as there is room for; measuring is what takes time. */
export function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  const key = `${context.font}|${Math.round(room)}|${text}`;
  const known = widths.get(key);
  if (known !== undefined) {
    return known;
  }
  const fits = (shown: string): boolean => context.measureText(shown).width <= room;
  let shown = text;
  if (text.length > TEXT_MAX || !fits(text)) {
    let [least, most] = [1, Math.min(text.length, TEXT_MAX)];
    while (most - least > 1) {
      const middle = (least + most) >> 1;
      [least, most] = fits(`${text.slice(0, middle)}…`) ? [middle, most] : [least, middle];
    }
    shown = `${text.slice(0, least)}…`;
  }
  if (widths.size > 5000) {
    widths.clear();
  }
  widths.set(key, shown);
  return shown;
}
