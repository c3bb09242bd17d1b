/** Whether a graph had better run to the right or down, by the room that there is for it. */
import type { Box } from './camera';
import { LAYER_GAP, NODE_HEIGHT, NODE_WIDTH, ROW_GAP, type Direction } from './layout';

const MARGIN = 40;
/** Larger than life nothing is shown: beyond that more room is no gain. */
const ZOOM_MAX = 1.25;

/**
 * The direction in which a graph can be shown larger.
 *
 * Parameters: the box that it takes up now, in the direction it runs in; the room on screen, in pixels; and by what factor the other
 * direction must be better, for a graph that turns is a graph that one has to find one's way in again.
 */
export function betterDirection(
  box: Box,
  now: Direction,
  room: { width: number; height: number },
  gain: number
): Direction {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const other = turnedSize(width, height, now);
  if (zoomOf(other.width, other.height, room) > gain * zoomOf(width, height, room)) {
    return now === 'right' ? 'down' : 'right';
  }
  return now;
}

/** What the same layers and rows take up when they run the other way. */
function turnedSize(
  width: number,
  height: number,
  now: Direction
): { width: number; height: number } {
  if (now === 'right') {
    const layers = (width + LAYER_GAP.right) / (NODE_WIDTH + LAYER_GAP.right);
    const rows = (height + ROW_GAP) / (NODE_HEIGHT + ROW_GAP);
    return {
      width: rows * (NODE_WIDTH + ROW_GAP) - ROW_GAP,
      height: layers * (NODE_HEIGHT + LAYER_GAP.down) - LAYER_GAP.down
    };
  }
  const layers = (height + LAYER_GAP.down) / (NODE_HEIGHT + LAYER_GAP.down);
  const rows = (width + ROW_GAP) / (NODE_WIDTH + ROW_GAP);
  return {
    width: layers * (NODE_WIDTH + LAYER_GAP.right) - LAYER_GAP.right,
    height: rows * (NODE_HEIGHT + ROW_GAP) - ROW_GAP
  };
}

function zoomOf(width: number, height: number, room: { width: number; height: number }): number {
  const across = (room.width - 2 * MARGIN) / Math.max(1, width);
  const down = (room.height - 2 * MARGIN) / Math.max(1, height);
  return Math.min(ZOOM_MAX, Math.max(0, Math.min(across, down)));
}
