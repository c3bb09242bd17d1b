/** Keeps the marks of the tasks of all cells of all open notebooks. */
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { CellsModel } from '../model/cells';
import { Mark } from './mark';

type Cell = NotebookPanel['content']['widgets'][number];

export interface MarkEvents {
  /** The badge of a cell was pressed. */
  open: (cluster: string, kernel: string, cell: string) => void;
  /** What has not ended of a cell is to be cancelled. */
  cancel: (cluster: string, kernel: string, cell: string) => void;
}

export class CellMarks {
  /** Cells come and go with their notebooks; whatever else is forgotten with them. */
  private marks = new WeakMap<Cell, Mark>();
  private wanted = true;
  private panels = 0;

  constructor(
    private tracker: INotebookTracker,
    private model: CellsModel,
    private events: MarkEvents
  ) {
    tracker.widgetAdded.connect((_, panel) => {
      this.follow(panel);
    });
    model.changed.connect(() => {
      this.refresh();
    });
  }

  /** Whether there are to be marks at all. */
  enable(on: boolean): void {
    this.wanted = on;
    this.look();
    this.refresh();
  }

  private follow(panel: NotebookPanel): void {
    this.panels += 1;
    this.look();
    panel.disposed.connect(() => {
      this.panels -= 1;
      this.look();
    });
    const again = (): void => {
      this.refreshPanel(panel);
    };
    // A cell has no input to stand below before it is near the part that can be seen.
    panel.content.cellInViewportChanged.connect(again);
    panel.content.modelContentChanged.connect(again);
    panel.sessionContext.kernelChanged.connect(again);
  }

  private look(): void {
    this.model.look(this.wanted && this.panels > 0);
  }

  private refresh(): void {
    this.tracker.forEach(panel => {
      this.refreshPanel(panel);
    });
  }

  private refreshPanel(panel: NotebookPanel): void {
    const kernel = panel.sessionContext.session?.kernel?.id ?? '';
    for (const cell of panel.content.widgets) {
      if (cell.model.type === 'code') {
        this.refreshCell(cell, kernel);
      }
    }
  }

  private refreshCell(cell: Cell, kernel: string): void {
    const id = cell.model.id;
    const found = this.wanted && kernel ? this.model.get(kernel, id) : null;
    const known = this.marks.get(cell);
    if (!found) {
      known?.node.remove();
      return;
    }
    const mark =
      known ??
      new Mark(
        () => {
          this.tell(this.events.open, cell, found.cluster);
        },
        () => {
          this.tell(this.events.cancel, cell, found.cluster);
        }
      );
    this.marks.set(cell, mark);
    mark.show(found.counts.counts);
    if (!mark.node.isConnected) {
      cell.node.querySelector('.jp-Cell-inputWrapper')?.after(mark.node);
    }
  }

  /** Tell of the newest run of a cell, on whichever cluster and of whichever kernel that is by now. */
  private tell(event: MarkEvents['open'], cell: Cell, otherwise: string): void {
    const kernel = panelKernel(this.tracker, cell) ?? '';
    const { id } = cell.model;
    event(this.model.get(kernel, id)?.cluster ?? otherwise, kernel, id);
  }
}

/** The kernel that a cell's notebook has now. */
function panelKernel(tracker: INotebookTracker, cell: Cell): string | undefined {
  const panel = tracker.find(each => each.content.widgets.includes(cell));
  return panel?.sessionContext.session?.kernel?.id;
}
