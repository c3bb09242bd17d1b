/** Wires raynb into JupyterLab: what there is, and where it appears. */
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { Signal } from '@lumino/signaling';
import { Api } from './api';
import { addClusterCommands, cancelCell } from './commands';
import { clustersIcon } from './icons';
import { CellsModel } from './model/cells';
import { Clusters } from './model/clusters';
import { Selection } from './model/selection';
import { NotebookDoor } from './notebook/door';
import { CellMarks } from './notebook/marks';
import { addPanels, WAYS } from './panels/registry';
import { Settings } from './settings';
import type { Shared } from './shared';
import { Sidebar } from './sidebar/sidebar';
import { StatusItem } from './status';

const ID = 'raynb:plugin';

const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: "Ray's programming model, native in the notebook.",
  autoStart: true,
  optional: [
    ICommandPalette,
    ILauncher,
    ILayoutRestorer,
    INotebookTracker,
    ISettingRegistry,
    IStatusBar
  ],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    registry: ISettingRegistry | null,
    statusBar: IStatusBar | null
  ) => {
    const api = new Api(app.serviceManager.serverSettings);
    const clusters = new Clusters(api);
    const door = new NotebookDoor(notebooks);
    const settings = new Settings(registry, ID);
    const shared = { app, api, clusters, door, settings, selection: new Selection() };
    door.onKernel(kernel => {
      clusters.near(kernel);
    });
    // Its first task may just have started a cluster.
    door.onExecuted(() => {
      clusters.refreshSoon();
    });
    addPanels(shared, { palette, launcher, restorer });
    addClusterCommands(shared, palette);
    addMarks(shared);
    addStatus(shared, statusBar);
    const sidebar = new Sidebar(shared, WAYS);
    app.shell.add(sidebar, 'left', { rank: 350 });
    restorer?.add(sidebar, sidebar.id);
  }
};

/** Bars and badges below the cells that have tasks. */
function addMarks({ app, clusters, door, settings }: Shared): void {
  if (!door.tracker) {
    return;
  }
  const marks = new CellMarks(door.tracker, new CellsModel(clusters), {
    open: (cluster, kernel, cell) => {
      clusters.choose(cluster);
      void app.commands.execute('raynb:open-task-graph', { cell, kernel });
    },
    cancel: (cluster, kernel, cell) => void cancelCell(clusters, cluster, kernel, cell)
  });
  settings.changed.connect(() => {
    marks.enable(settings.badges);
  });
}

function addStatus({ app, clusters }: Shared, bar: IStatusBar | null): void {
  if (!bar) {
    return;
  }
  const changed = new Signal<object, void>({});
  const item = new StatusItem(clusters, clustersIcon, app.commands, WAYS);
  item.onChange(() => {
    changed.emit();
  });
  bar.registerStatusItem('raynb:status', {
    item,
    align: 'left',
    rank: 90,
    isActive: () => item.active,
    activeStateChanged: changed
  });
  void app.restored.then(() => clusters.refresh());
}

export default plugin;
