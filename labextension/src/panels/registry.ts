/** The panels: a command for each, in the launcher and the palette, and back where they were after a reload. */
import type { ILayoutRestorer } from '@jupyterlab/application';
import { WidgetTracker, type ICommandPalette } from '@jupyterlab/apputils';
import type { ILauncher } from '@jupyterlab/launcher';
import type { LabIcon } from '@jupyterlab/ui-components';
import { graphIcon } from '../icons';
import { CATEGORY, type Shared } from '../shared';
import type { Panel, PanelOptions } from './panel';
import { TaskGraphPanel, type GraphOutside } from './taskGraph';

interface Places {
  palette: ICommandPalette | null;
  launcher: ILauncher | null;
  restorer: ILayoutRestorer | null;
}

interface Kind {
  name: string;
  title: string;
  caption: string;
  icon: LabIcon;
  make: (options: PanelOptions, outside: GraphOutside, shared: Shared) => Panel;
}

const KINDS: Kind[] = [
  {
    name: 'task-graph',
    title: 'Task Graph',
    caption: 'What runs, what waits, and what flows between tasks',
    icon: graphIcon,
    make: (options, outside, { clusters, selection, settings }) =>
      new TaskGraphPanel(options, outside, clusters, selection, settings.grouping)
  }
];

const ARGUMENTS = {
  type: 'object',
  properties: {
    cell: { type: 'string', description: "A notebook cell's id: show it among the cells" }
  }
} as const;

export function addPanels(shared: Shared, places: Places): void {
  const { app, door } = shared;
  const outside: GraphOutside = {
    execute: (command, args) => app.commands.execute(command, args),
    reveal: cell =>
      door.reveal(cell, id => {
        app.shell.activateById(id);
      })
  };
  KINDS.forEach((kind, rank) => {
    const command = `raynb:open-${kind.name}`;
    const id = `raynb-${kind.name}`;
    const tracker = new WidgetTracker<Panel>({ namespace: id });
    let panel: Panel | null = null;
    app.commands.addCommand(command, {
      label: kind.title,
      caption: kind.caption,
      icon: kind.icon,
      describedBy: { args: ARGUMENTS },
      execute: args => {
        if (!panel || panel.isDisposed) {
          panel = kind.make({ id, title: kind.title, icon: kind.icon }, outside, shared);
          void tracker.add(panel);
        }
        if (!panel.isAttached) {
          const besides = door.tracker?.currentWidget?.isVisible ?? false;
          app.shell.add(panel, 'main', { mode: besides ? 'split-right' : 'tab-after' });
        }
        app.shell.activateById(id);
        if (panel instanceof TaskGraphPanel && typeof args.cell === 'string') {
          panel.showCell(args.cell);
        }
      }
    });
    places.palette?.addItem({ command, category: CATEGORY });
    places.launcher?.add({ command, category: CATEGORY, rank });
    void places.restorer?.restore(tracker, { command, name: () => id });
  });
}
