/** The panels: a command for each, in the launcher and the palette, and back where they were after a reload. */
import type { ILayoutRestorer } from '@jupyterlab/application';
import { WidgetTracker, type ICommandPalette } from '@jupyterlab/apputils';
import type { ILauncher } from '@jupyterlab/launcher';
import type { LabIcon } from '@jupyterlab/ui-components';
import { actorsIcon, graphIcon, logsIcon, nodesIcon, objectsIcon, timelineIcon } from '../icons';
import { CATEGORY, type Shared } from '../shared';
import { actorsKind } from './actors';
import { LogsPanel, type LogsOutside } from './logs';
import { nodesKind } from './nodes';
import { objectsKind, type ObjectsOutside } from './objects';
import type { Panel, PanelOptions } from './panel';
import { TablePanel } from './table';
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

type PanelOutside = GraphOutside & TimelineOutside & ObjectsOutside & LogsOutside;

const KINDS: Kind[] = [
  {
    name: 'task-graph',
    title: 'Task Graph',
    caption: 'What runs, what waits, and what flows between tasks',
    icon: graphIcon,
    make: (options, outside, { api, clusters, selection, settings }) =>
      new TaskGraphPanel(options, outside, clusters, selection, api, settings.grouping)
  },
  {
    name: 'timeline',
    title: 'Timeline',
    caption: 'What ran when, a lane for each worker and actor',
    icon: timelineIcon,
    make: (options, outside, { clusters, selection }) =>
      new TimelinePanel(options, outside, clusters, selection)
  },
  {
    name: 'objects',
    title: 'Objects',
    caption: 'What every object is and holds, who holds it, and where it is',
    icon: objectsIcon,
    make: (options, outside, { clusters, selection }) =>
      new TablePanel(options, outside, clusters, selection, objectsKind(outside))
  },
  {
    name: 'actors',
    title: 'Actors',
    caption: 'State, queue, restarts and methods of actors',
    icon: actorsIcon,
    make: (options, outside, { clusters, selection }) =>
      new TablePanel(options, outside, clusters, selection, actorsKind(true))
  },
  {
    name: 'nodes',
    title: 'Nodes',
    caption: 'What the nodes have, what of it is used, and whether they are well',
    icon: nodesIcon,
    make: (options, outside, { clusters, selection }) =>
      new TablePanel(options, outside, clusters, selection, nodesKind())
  },
  {
    name: 'logs',
    title: 'Logs',
    caption: 'What tasks, actors and workers have written',
    icon: logsIcon,
    make: (options, outside, { clusters, selection }) =>
      new LogsPanel(options, outside, clusters, selection)
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
    cell: { type: 'string', description: "A notebook cell's id: show it among the cells" },
    kernel: { type: 'string', description: "The id of that notebook's kernel" },
    object: { type: 'string', description: "An object's id: show it among the objects" },
    source: { type: 'string', description: 'A process: show its log' },
    task: { type: 'string', description: "A task's id: show its log" }
  }
} as const;

export function addPanels(shared: Shared, places: Places): void {
  const { api, app, door } = shared;
  const outside: PanelOutside = {
    execute: (command, args) => app.commands.execute(command, args),
    reveal: (cell, kernel) =>
      door.reveal(cell, kernel, id => {
        app.shell.activateById(id);
      }),
    preview: (cluster, object, query) => api.preview(cluster, object, query),
    logs: (cluster, query) => api.logs(cluster, query),
    opensGraph: true,
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
          const { area, options } = place(shared);
          app.shell.add(panel, area, options);
        }
        app.shell.activateById(id);
        if (panel instanceof TaskGraphPanel && typeof args.cell === 'string') {
          panel.showCell(args.cell, textArgument(args.kernel));
        }
        if (panel instanceof TablePanel && typeof args.object === 'string') {
          panel.only(args.object);
        }
        if (panel instanceof LogsPanel && (args.source || args.task)) {
          panel.only({ source: textArgument(args.source), task: textArgument(args.task) });
        }
      }
    });
    places.palette?.addItem({ command, category: CATEGORY });
    places.launcher?.add({ command, category: CATEGORY, rank });
    void places.restorer?.restore(tracker, { command, name: () => id });
  });
}

interface Place {
  area: 'main' | 'right';
  options: { mode?: 'split-right' | 'tab-after'; ref?: string };
}

/** Beside the other panels; the first one beside the notebook. Notebook 7 has room for one thing, and a sidebar. */
function place({ app, door }: Shared): Place {
  if (app.name !== 'JupyterLab') {
    return { area: 'right', options: {} };
  }
  const ids = new Set(KINDS.map(({ name }) => `raynb-${name}`));
  for (const { id } of app.shell.widgets('main')) {
    if (ids.has(id)) {
      return { area: 'main', options: { mode: 'tab-after', ref: id } };
    }
  }
  const besides = door.tracker?.currentWidget?.isVisible ?? false;
  return { area: 'main', options: { mode: besides ? 'split-right' : 'tab-after' } };
}

function textArgument(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Have the browser save what is at a URL of the server. */
function download(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}
