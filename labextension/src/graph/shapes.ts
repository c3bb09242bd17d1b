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

/** As much of a text as there is room for: measured in steps, for that is what takes time. */
const widths = new Map<string, string>();
export function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  const key = `${context.font}|${Math.round(room)}|${text}`;
  const known = widths.get(key);
  if (known !== undefined) {
    return known;
  }
  let shown = text;
  for (let end = text.length - 1; end > 0 && context.measureText(shown).width > room; end--) {
    shown = `${text.slice(0, end)}…`;
  }
  if (widths.size > 5000) {
    widths.clear();
  }
  widths.set(key, shown);
  return shown;
}
