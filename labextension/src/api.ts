/** The one door to raynb's server extension: every request of the front end goes through here. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/** The version of raynb that is installed beside the Jupyter server. */
export async function serverVersion(
  settings: ServerConnection.ISettings = ServerConnection.makeSettings()
): Promise<string> {
  const { version } = await request<{ version: string }>('version', settings);
  return version;
}

async function request<T>(endpoint: string, settings: ServerConnection.ISettings): Promise<T> {
  const url = URLExt.join(settings.baseUrl, 'raynb', 'api', endpoint);
  const response = await ServerConnection.makeRequest(url, {}, settings);
  if (!response.ok) {
    throw await ServerConnection.ResponseError.create(response);
  }
  return (await response.json()) as T;
}
