/** Commands that do something with a cluster. `cluster` among the arguments is an id; without it the current one is meant. */
import type { ICommandPalette } from '@jupyterlab/apputils';
import { Dialog, InputDialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { CommandRegistry } from '@lumino/commands';
import type { Api, ClusterInfo } from './api';
import type { Clusters } from './model/clusters';
import { CATEGORY, type Shared } from './shared';
import { askForCluster } from './sidebar/newCluster';

const CPUS_MAX = 4096;
const ARGUMENTS = {
  type: 'object',
  properties: {
    cluster: { type: 'string', description: 'Id of a cluster; the current one if absent' }
  }
} as const;

/** What a notebook runs to use a cluster. */
export function connectCode(cluster: ClusterInfo): string {
  return `import raynb as ray\nray.init(address=${JSON.stringify(cluster.address)})`;
}

export function addClusterCommands(shared: Shared, palette: ICommandPalette | null): void {
  const { app, api, clusters, door } = shared;
  const meant = (args: { cluster?: unknown }): ClusterInfo | undefined =>
    clusters.get(typeof args.cluster === 'string' ? args.cluster : clusters.current);
  const add = (id: string, options: CommandRegistry.ICommandOptions): void => {
    app.commands.addCommand(id, { describedBy: { args: ARGUMENTS }, ...options });
    palette?.addItem({ command: id, category: CATEGORY });
  };
  const onCluster = (
    id: string,
    label: string,
    caption: string,
    work: (cluster: ClusterInfo) => Promise<void>
  ): void => {
    add(id, {
      label,
      caption,
      execute: async args => {
        const cluster = meant(args);
        if (cluster) {
          await orError(label, () => work(cluster));
        } else {
          await showErrorMessage(label, 'No cluster is running. Start one first.');
        }
        await clusters.refresh();
      }
    });
  };

  add('raynb:new-cluster', {
    label: 'Start a New Cluster…',
    caption: 'Start a cluster that notebooks can connect to',
    describedBy: { args: null },
    execute: () => orError('Start a cluster', () => newCluster(shared))
  });
  onCluster(
    'raynb:stop-cluster',
    'Shut Down the Cluster…',
    'End a cluster and all that runs on it',
    async cluster => {
      await stopCluster(shared, cluster);
    }
  );
  onCluster(
    'raynb:scale-cluster',
    'Scale the Cluster…',
    'Change how many CPUs a cluster uses',
    async cluster => {
      await scaleCluster(shared, cluster);
    }
  );
  onCluster(
    'raynb:inject-code',
    'Inject Connect Code into the Notebook',
    'Add a cell that connects to the cluster',
    async cluster => {
      if (!door.inject(connectCode(cluster))) {
        await showErrorMessage(
          'Inject connect code',
          'Open a notebook first: the code goes below its current cell.'
        );
      }
    }
  );
  add('raynb:about', {
    label: 'About raynb',
    caption: 'Show which version of raynb this server has',
    describedBy: { args: null },
    execute: async () => {
      await showDialog({
        title: 'About raynb',
        body: await describeVersion(api),
        buttons: [Dialog.okButton()]
      });
    }
  });
}

/** Asks, and cancels what has not ended of the tasks of a notebook's cell. */
export async function cancelCell(
  clusters: Clusters,
  cluster: string,
  kernel: string,
  cell: string
): Promise<void> {
  const title = 'Cancel the tasks of this cell?';
  const answer = await showDialog({
    title,
    body: 'What they have done so far is lost, and what needs their results fails. Those that have ended stay as they are.',
    buttons: [
      Dialog.cancelButton({ label: 'Keep Them' }),
      Dialog.warnButton({ label: 'Cancel Tasks' })
    ]
  });
  if (!answer.button.accept) {
    return;
  }
  const socket = clusters.acquire(cluster);
  try {
    await orError(title, async () => {
      await socket.whenLive();
      await socket.act('cancel', `cell:${kernel}:${cell}`);
    });
  } finally {
    clusters.release(cluster);
  }
}

async function orError(title: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    await showErrorMessage(title, error instanceof Error ? error.message : String(error));
  }
}

async function newCluster({ app, api, clusters, door }: Shared): Promise<void> {
  const { kernelspecs } = app.serviceManager;
  await kernelspecs.ready;
  const wanted = await askForCluster(kernelspecs.specs, door.kernelSpec);
  if (wanted) {
    await clusters.whileStarting(() => api.start(wanted));
  }
}

async function stopCluster({ api, clusters }: Shared, cluster: ClusterInfo): Promise<void> {
  const answer = await showDialog({
    title: `Shut down ${cluster.name}?`,
    body: 'Its tasks are cancelled and its objects are gone. Notebooks that use it have to connect to another.',
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: 'Shut Down' })]
  });
  if (answer.button.accept) {
    await clusters.whileStopping(cluster.id, () => api.stop(cluster.id));
  }
}

async function scaleCluster({ api }: Shared, cluster: ClusterInfo): Promise<void> {
  const answer = await InputDialog.getNumber({
    title: `Scale ${cluster.name}`,
    label: 'CPUs',
    okLabel: 'Scale'
  });
  const cpus = answer.value;
  if (!answer.button.accept || cpus === null) {
    return;
  }
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > CPUS_MAX) {
    throw new Error(`The number of CPUs is a whole number from 1 to ${CPUS_MAX}, not ${cpus}.`);
  }
  await api.scale(cluster.id, cpus);
}

/** A server without the extension is worth telling apart from one that has it. */
async function describeVersion(api: Api): Promise<string> {
  try {
    return `raynb ${await api.version()}`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `raynb's server extension does not answer (${reason}). Is it installed where the Jupyter server runs?`;
  }
}
