/**
 * A page that shows widgets as VS Code and Colab do: by the standard HTML manager, which loads anywidget's module by itself,
 * without JupyterLab, its extensions and its theme. Built for tests (`npm run build:standard`), which run cells in it.
 */
import * as base from '@jupyter-widgets/base';
import { HTMLManager } from '@jupyter-widgets/html-manager/lib/htmlmanager';
import { KernelManager, ServerConnection, type Kernel } from '@jupyterlab/services';

const VIEW = 'application/vnd.jupyter.widget-view+json';

const SHOWN = new Set(['display_data', 'execute_result', 'update_display_data']);

type Module = Record<string, unknown>;
type Data = Record<string, unknown>;

interface Told {
  data?: Data;
  transient?: { display_id?: string };
  text?: string;
  traceback?: string[];
}

/** As an AMD loader has it: what the module asks for is given to it. */
function loadModule(url: string): Promise<Module> {
  return new Promise((done, failed) => {
    const define = (_: string[], factory: (needed: unknown) => Module): void => {
      done(factory(base));
    };
    Object.assign(window, { define });
    const script = document.createElement('script');
    script.src = url;
    script.onerror = failed;
    document.head.append(script);
  });
}

class Manager extends HTMLManager {
  constructor(kernel: Kernel.IKernelConnection, anywidget: Module) {
    super({
      loader: (name: string) =>
        name === 'anywidget' ? Promise.resolve(anywidget) : Promise.reject(new Error(name))
    });
    kernel.registerCommTarget(this.comm_target_name, (comm, message) => {
      void this.handle_comm_open(new base.shims.services.Comm(comm), message);
    });
  }
}

/** What a cell shows, in the places where it was shown first. */
class Cells {
  private places = new Map<string, HTMLElement>();

  constructor(
    private kernel: Kernel.IKernelConnection,
    private manager: Manager
  ) {}

  /** Run code; its outputs are in a section of their own. Resolves when it has ended. */
  async run(code: string): Promise<void> {
    const section = document.createElement('section');
    document.body.append(section);
    const future = this.kernel.requestExecute({ code }, false); // what comes after the end still lands here
    future.onIOPub = ({ header, content }) => {
      this.take(section, header.msg_type, content as Told);
    };
    const { content } = await future.done;
    section.dataset.status = content.status;
  }

  private take(section: HTMLElement, type: string, told: Told): void {
    if (type === 'stream' || type === 'error') {
      section.append(told.text ?? told.traceback?.join('\n') ?? '');
    } else if (told.data && SHOWN.has(type)) {
      const id = told.transient?.display_id ?? '';
      const known = type === 'update_display_data' ? this.places.get(id) : undefined;
      const place = known ?? document.createElement('div');
      if (!known) {
        this.places.set(id, place);
        section.append(place);
      }
      void this.show(place, told.data);
    }
  }

  private async show(place: HTMLElement, data: Data): Promise<void> {
    place.replaceChildren();
    const view = data[VIEW] as { model_id: string } | undefined;
    if (view) {
      const model = await this.manager.get_model(view.model_id);
      await this.manager.display_view(this.manager.create_view(model), place);
    } else {
      place.innerHTML = String(data['image/svg+xml'] ?? data['text/html'] ?? data['text/plain']);
    }
  }
}

/** A kernel, and a page for its cells. */
async function open(baseUrl: string, token: string, anywidgetUrl: string): Promise<Cells> {
  const wsUrl = baseUrl.replace('http', 'ws');
  const serverSettings = ServerConnection.makeSettings({
    baseUrl,
    wsUrl,
    token,
    appendToken: true
  });
  const kernel = await new KernelManager({ serverSettings }).startNew({ name: 'python3' });
  return new Cells(kernel, new Manager(kernel, await loadModule(anywidgetUrl)));
}

Object.assign(window, { open_cells: open });
