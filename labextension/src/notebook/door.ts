/** Everything that touches notebooks: find a cell, show it, add one. */
import { NotebookActions, type INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';

export class NotebookDoor {
  constructor(readonly tracker: INotebookTracker | null) {}

  /** Calls back with the kernel's id when the user turns to a notebook, or when that has got another kernel. */
  onKernel(work: (kernel: string) => void): void {
    const tell = (panel: NotebookPanel | null): void => {
      if (panel !== null && panel === this.tracker?.currentWidget) {
        work(panel.sessionContext.session?.kernel?.id ?? '');
      }
    };
    this.tracker?.currentChanged.connect((_, panel) => {
      tell(panel);
    });
    this.tracker?.widgetAdded.connect((_, panel) => {
      panel.sessionContext.kernelChanged.connect(() => {
        tell(panel);
      });
    });
  }

  /** The file name of the open notebook that a kernel belongs to; empty: none is open. */
  nameOf(kernel: string): string {
    const found = this.tracker?.find(panel => panel.sessionContext.session?.kernel?.id === kernel);
    return found?.title.label ?? '';
  }

  /** Name of the current notebook's kernel spec; empty where there is none. */
  get kernelSpec(): string {
    return this.tracker?.currentWidget?.sessionContext.session?.kernel?.name ?? '';
  }

  /** Calls back when a cell of any notebook has run. */
  onExecuted(work: () => void): void {
    NotebookActions.executed.connect(() => {
      work();
    });
  }

  /** Scrolls to the cell with this id, in the notebook of this kernel if that is open, else in whichever has it. */
  reveal(cell: string, kernel: string, activate: (id: string) => void): boolean {
    const found = this.find(cell, kernel);
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

  private find(cell: string, kernel: string): { panel: NotebookPanel; index: number } | null {
    const panels: NotebookPanel[] = [];
    const isOf = (panel: NotebookPanel): boolean =>
      kernel !== '' && panel.sessionContext.session?.kernel?.id === kernel;
    this.tracker?.forEach(panel => (isOf(panel) ? panels.unshift(panel) : panels.push(panel)));
    for (const panel of panels) {
      const index = panel.content.widgets.findIndex(widget => widget.model.id === cell);
      if (index >= 0) {
        return { panel, index };
      }
    }
    return null;
  }
}
