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
import { Api } from './api';
import { addClusterCommands } from './commands';
import { Clusters } from './model/clusters';
import { Selection } from './model/selection';
import { NotebookDoor } from './notebook/door';
import { addPanels, WAYS } from './panels/registry';
import { Settings } from './settings';
import { Sidebar } from './sidebar/sidebar';

const ID = 'raynb:plugin';

const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: "Ray's programming model, native in the notebook.",
  autoStart: true,
  optional: [ICommandPalette, ILauncher, ILayoutRestorer, INotebookTracker, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    registry: ISettingRegistry | null
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
    const sidebar = new Sidebar(shared, WAYS);
    app.shell.add(sidebar, 'left', { rank: 350 });
    restorer?.add(sidebar, sidebar.id);
  }
};

export default plugin;
