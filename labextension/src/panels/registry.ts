/** The panels: a command for each, in the launcher and the palette, and back where they were after a reload. */
import type { ILayoutRestorer } from '@jupyterlab/application';
import { WidgetTracker, type ICommandPalette } from '@jupyterlab/apputils';
import type { ILauncher } from '@jupyterlab/launcher';
import type { LabIcon } from '@jupyterlab/ui-components';
import { graphIcon, timelineIcon } from '../icons';
import { CATEGORY, type Shared } from '../shared';
import type { Panel, PanelOptions } from './panel';
import { TaskGraphPanel, type GraphOutside } from './taskGraph';
import { TimelinePanel, type TimelineOutside } from './timeline';

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
  make: (options: PanelOptions, outside: PanelOutside, shared: Shared) => Panel;
}

type PanelOutside = GraphOutside & TimelineOutside;

const KINDS: Kind[] = [
  {
    name: 'task-graph',
    title: 'Task Graph',
    caption: 'What runs, what waits, and what flows between tasks',
    icon: graphIcon,
    make: (options, outside, { clusters, selection, settings }) =>
      new TaskGraphPanel(options, outside, clusters, selection, settings.grouping)
  },
  {
    name: 'timeline',
    title: 'Timeline',
    caption: 'What ran when, a lane for each worker and actor',
    icon: timelineIcon,
    make: (options, outside, { clusters, selection }) =>
      new TimelinePanel(options, outside, clusters, selection)
  }
];

/** The panels' commands, as buttons are made of them. */
export const WAYS = KINDS.map(({ name, title, icon }) => ({
  command: `raynb:open-${name}`,
  title,
  icon
}));

const ARGUMENTS = {
  type: 'object',
  properties: {
    cell: { type: 'string', description: "A notebook cell's id: show it among the cells" }
  }
} as const;

export function addPanels(shared: Shared, places: Places): void {
  const { api, app, door } = shared;
  const outside: PanelOutside = {
    execute: (command, args) => app.commands.execute(command, args),
    reveal: cell =>
      door.reveal(cell, id => {
        app.shell.activateById(id);
      }),
    saveTrace: cluster => {
      download(api.traceUrl(cluster), `raynb-${cluster}.json`);
    }
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
          panel.addChooser(shared.clusters);
          void tracker.add(panel);
        }
        if (!panel.isAttached) {
          app.shell.add(panel, 'main', place(shared));
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

/** Beside the other panels; the first one beside the notebook. */
function place({ app, door }: Shared): { mode: 'split-right' | 'tab-after'; ref?: string } {
  const ids = new Set(KINDS.map(({ name }) => `raynb-${name}`));
  for (const { id } of app.shell.widgets('main')) {
    if (ids.has(id)) {
      return { mode: 'tab-after', ref: id };
    }
  }
  return { mode: door.tracker?.currentWidget?.isVisible ? 'split-right' : 'tab-after' };
}

/** Have the browser save what is at a URL of the server. */
function download(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}
