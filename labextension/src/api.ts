/** The one door to raynb's server extension: every request of the front end goes through here. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { LogPage, ObjectPreview } from './generated/screen';
import type { LogQuery } from './model/logs';
import type { Row } from './model/table';
import { BROWSER, ViewsSocket } from './views';

/** A cluster that the server found: one of the user's, wherever it was started. */
export interface ClusterInfo {
  id: string;
  /** What `ray.init(address=...)` takes. */
  address: string;
  /** What it is called on screen. */
  name: string;
  /** Who started it: a notebook, a script or the command line. */
  origin: string;
  /** The kernel that started it; empty: none did. */
  notebook: string;
  /** The interpreter of its processes. */
  python: string;
  raynb_version: string;
  /** Seconds since the epoch. */
  started_at: number;
  /** Whether the server can talk to it; where not, `problem` says why. */
  alive: boolean;
  problem: string;
}

/** What a cluster that is to be started shall be like. */
export interface NewCluster {
  name: string;
  /** null: all of the machine. */
  num_cpus: number | null;
  /** Name of a kernel spec, whose interpreter it gets; empty: the Jupyter server's. */
  kernel: string;
}

export class Api {
  constructor(private settings: ServerConnection.ISettings = ServerConnection.makeSettings()) {}

  /** The version of raynb that is installed beside the Jupyter server. */
  async version(): Promise<string> {
    return (await this.request<{ version: string }>(['version'])).version;
  }

  async clusters(): Promise<ClusterInfo[]> {
    return (await this.request<{ clusters: ClusterInfo[] }>(['clusters'])).clusters;
  }

  async start(wanted: NewCluster): Promise<ClusterInfo> {
    return this.request(['clusters'], { method: 'POST', body: JSON.stringify(wanted) });
  }

  async scale(id: string, cpus: number): Promise<void> {
    const body = JSON.stringify({ num_cpus: cpus });
    await this.request(['clusters', id, 'scale'], { method: 'POST', body });
  }

  async stop(id: string): Promise<void> {
    await this.request(['clusters', id], { method: 'DELETE' });
  }

  /** A task's row in the state API, of its last attempt; null: there is none any more. */
  async task(cluster: string, id: string): Promise<Row | null> {
    const query = { id, detail: '1' };
    const path = ['clusters', cluster, 'tasks'];
    return (await this.request<{ rows: Row[] }>(path, {}, query)).rows.at(-1) ?? null;
  }

  /** The newest failed tasks that these filters (`field=value`) let through: those of a function or a cell. */
  async failedTasks(cluster: string, filters: readonly string[]): Promise<Row[]> {
    const query = [...filters, 'state=FAILED']
      .map(each => `filter=${encodeURIComponent(each)}`)
      .join('&');
    const path = ['clusters', cluster, 'tasks'];
    const search = `?${query}&limit=5&detail=1`;
    return (await this.request<{ rows: Row[] }>(path, {}, search)).rows;
  }

  /** `at`: indices of an array's leading dimensions. */
  async preview(
    cluster: string,
    object: string,
    { offset, at }: { offset: number; at: readonly number[] }
  ): Promise<ObjectPreview> {
    const path = ['clusters', cluster, 'objects', object, 'preview'];
    const query: Record<string, string> = { offset: String(offset) };
    if (at.length) {
      query.at = at.join(',');
    }
    return this.request(path, {}, query);
  }

  async logs(cluster: string, query: LogQuery): Promise<LogPage> {
    const said = Object.entries(query)
      .filter(([, value]) => value !== '' && value !== null)
      .map(([name, value]) => [name, String(value)] as const);
    return this.request(['clusters', cluster, 'logs'], {}, Object.fromEntries(said));
  }

  /** Where the browser gets the run from as a Chrome trace. */
  traceUrl(cluster: string): string {
    return this.url(['clusters', cluster, 'timeline']);
  }

  /** The views' websocket of a cluster. */
  screens(cluster: string): ViewsSocket {
    const { settings } = this;
    const path = ['raynb', 'api', 'clusters', encodeURIComponent(cluster), 'views'];
    const base = URLExt.join(settings.wsUrl, ...path);
    return new ViewsSocket({
      ...BROWSER,
      open: () => {
        const query = settings.token && settings.appendToken ? { token: settings.token } : {};
        return new settings.WebSocket(base + URLExt.objectToQueryString(query));
      }
    });
  }

  private url(path: readonly string[]): string {
    return URLExt.join(this.settings.baseUrl, 'raynb', 'api', ...path.map(encodeURIComponent));
  }

  private async request<T>(
    path: readonly string[],
    init: RequestInit = {},
    query: Record<string, string> | string = {}
  ): Promise<T> {
    const url =
      this.url(path) + (typeof query === 'string' ? query : URLExt.objectToQueryString(query));
    const response = await ServerConnection.makeRequest(url, init, this.settings);
    if (!response.ok) {
      throw await ServerConnection.ResponseError.create(response);
    }
    return (response.status === 204 ? undefined : await response.json()) as T;
  }
}
