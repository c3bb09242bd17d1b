/** Draws `raynb.widgets.TaskGraph`, `Timeline`, `Objects`, `inspect` and `ActorPanel`: JupyterLab's panels, in a cell. */
import { Widget } from '@lumino/widgets';
import { Selection } from '../model/selection';
import { actorsKind } from '../panels/actors';
import { objectsKind } from '../panels/objects';
import type { Panel, PanelOptions } from '../panels/panel';
import { TablePanel } from '../panels/table';
import { TaskGraphPanel } from '../panels/taskGraph';
import { TimelinePanel } from '../panels/timeline';
import type { Model, Place } from './host';
import { ScreenHost, type ScreenShared } from './screen_host';

let numbers = 0;

function render({ model, el }: Place<ScreenShared>): () => void {
  const host = new ScreenHost(model);
  const root = document.createElement('div');
  root.className = `raynb-Screen raynb-mod-${model.get('kind')}`;
  // Outside of JupyterLab and Notebook 7 the theme's variables are missing: others stand in for them.
  const themed = getComputedStyle(document.body).getPropertyValue('--jp-layout-color1') !== '';
  root.classList.toggle('raynb-mod-foreign', !themed);
  el.append(root);
  const panel = makePanel(model, host);
  let gone = false;
  // A panel wants to be in the page: whoever calls this puts `el` there afterwards.
  const attach = (): void => {
    if (gone) {
      return;
    }
    if (root.isConnected) {
      Widget.attach(panel, root);
    } else {
      requestAnimationFrame(attach);
    }
  };
  attach();
  tellOfUse(root, used => {
    model.send({ used });
  });
  return () => {
    gone = true;
    panel.dispose();
    host.dispose();
    root.remove();
  };
}

/** While somebody points at it or has the focus in it, the kernel must not draw it anew: a question would be gone. */
function tellOfUse(root: HTMLElement, tell: (used: boolean) => void): void {
  let told = false;
  const look = (pointed: boolean): void => {
    const used = pointed || root.contains(document.activeElement);
    if (used !== told) {
      told = used;
      tell(used);
    }
  };
  root.addEventListener('pointerenter', () => look(true));
  root.addEventListener('pointerleave', () => look(false));
  root.addEventListener('focusin', () => look(true));
  root.addEventListener('focusout', () => {
    setTimeout(() => look(root.matches(':hover')), 0);
  });
}

function makePanel(model: Model<ScreenShared>, host: ScreenHost): Panel {
  const selection = new Selection();
  const outside = {
    execute: () => Promise.resolve(),
    reveal: () => false,
    preview: (_: string, object: string, query: Parameters<ScreenHost['preview']>[1]) =>
      host.preview(object, query)
  };
  const options = (title: string): PanelOptions => ({
    id: `raynb-screen-${++numbers}`,
    title,
    icon: undefined
  });
  const { focus = '' } = model.get('options');
  switch (model.get('kind')) {
    case 'graph': {
      // A task's row is the server's to tell; in a cell what the graph itself says is all.
      const rows = { task: () => Promise.resolve(null), failedTasks: () => Promise.resolve([]) };
      const panel = new TaskGraphPanel(
        options('Task graph'),
        outside,
        host.clusters,
        selection,
        rows
      );
      if (focus) {
        panel.expand(focus);
      }
      return panel;
    }
    case 'timeline':
      return new TimelinePanel(options('Timeline'), outside, host.clusters, selection);
    case 'objects':
    case 'object':
      return new TablePanel(
        options(focus ? 'Object' : 'Objects'),
        outside,
        host.clusters,
        selection,
        objectsKind(outside),
        focus
      );
    case 'actor':
      return new TablePanel(
        options('Actor'),
        outside,
        host.clusters,
        selection,
        actorsKind(false),
        focus
      );
  }
}

export default { render };
