/** Code that is dragged into a notebook, where it becomes a cell. */
import { MimeData } from '@lumino/coreutils';
import { Drag } from '@lumino/dragdrop';
import { element } from '../dom/elements';

/** What notebooks take cells as, see `JUPYTER_CELL_MIME` of @jupyterlab/notebook. */
const CELLS = 'application/vnd.jupyter.cells';

export function dragCode(code: string, event: PointerEvent): void {
  const data = new MimeData();
  const cell = {
    cell_type: 'code',
    source: code,
    metadata: {},
    outputs: [],
    execution_count: null
  };
  data.setData(CELLS, [cell]);
  data.setData('text/plain', code);
  const drag = new Drag({
    mimeData: data,
    dragImage: element('pre', { class: 'raynb-DragImage', text: code }),
    supportedActions: 'copy',
    proposedAction: 'copy'
  });
  void drag.start(event.clientX, event.clientY).then(() => {
    drag.dispose();
  });
}
