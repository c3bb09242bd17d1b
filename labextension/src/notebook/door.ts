/** Everything that touches notebooks: find a cell, show it, add one. */
import { NotebookActions, type INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';

export class NotebookDoor {
  constructor(readonly tracker: INotebookTracker | null) {}

  /** Scrolls to the cell with this id in whichever open notebook has it. */
  reveal(cell: string, activate: (id: string) => void): boolean {
    const found = this.find(cell);
    if (!found) {
      return false;
    }
    const { panel, index } = found;
    activate(panel.id);
    panel.content.activeCellIndex = index;
    void panel.content.scrollToItem(index, 'smart');
    return true;
  }

  /** Adds a cell with this code below the current one; false: there is no notebook to add it to. */
  inject(code: string): boolean {
    const notebook = this.tracker?.currentWidget?.content;
    if (!notebook) {
      return false;
    }
    const active = notebook.activeCell;
    const empty =
      active?.model.type === 'code' && active.model.sharedModel.getSource().trim() === '';
    if (!empty) {
      NotebookActions.insertBelow(notebook);
    }
    notebook.activeCell?.model.sharedModel.setSource(code);
    return true;
  }

  private find(cell: string): { panel: NotebookPanel; index: number } | null {
    const panels: NotebookPanel[] = [];
    this.tracker?.forEach(panel => panels.push(panel));
    for (const panel of panels) {
      const index = panel.content.widgets.findIndex(widget => widget.model.id === cell);
      if (index >= 0) {
        return { panel, index };
      }
    }
    return null;
  }
}
