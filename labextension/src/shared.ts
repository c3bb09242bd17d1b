/** What the parts of the extension are given. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Api } from './api';
import type { Clusters } from './model/clusters';
import type { Selection } from './model/selection';
import type { NotebookDoor } from './notebook/door';
import type { Settings } from './settings';

export interface Shared {
  app: JupyterFrontEnd;
  api: Api;
  clusters: Clusters;
  selection: Selection;
  door: NotebookDoor;
  settings: Settings;
}

export const CATEGORY = 'raynb';
