/** Wires raynb into JupyterLab: what the commands are, and where they appear. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, showDialog } from '@jupyterlab/apputils';
import { serverVersion } from './api';

const ABOUT = 'raynb:about';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'raynb:plugin',
  description: "Ray's programming model, native in the notebook.",
  autoStart: true,
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, palette: ICommandPalette | null) => {
    app.commands.addCommand(ABOUT, {
      label: 'About raynb',
      caption: 'Show which version of raynb this server has',
      describedBy: { args: null },
      execute: showAbout
    });
    palette?.addItem({ command: ABOUT, category: 'raynb' });
  }
};

async function showAbout(): Promise<void> {
  await showDialog({
    title: 'About raynb',
    body: await describeVersion(),
    buttons: [Dialog.okButton()]
  });
}

/** A server without the extension is worth telling apart from one that has it. */
async function describeVersion(): Promise<string> {
  try {
    return `raynb ${await serverVersion()}`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `raynb's server extension does not answer (${reason}). Is it installed where the Jupyter server runs?`;
  }
}

export default plugin;
