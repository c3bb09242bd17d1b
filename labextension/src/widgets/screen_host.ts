/** What a panel needs of the network, over a widget's comm: the kernel is a guest of the event hub in its place. */
import type { ClusterInfo } from '../api';
import type { ObjectPreview } from '../generated/screen';
import { Clusters } from '../model/clusters';
import type { PreviewQuery } from '../preview/view';
import { BROWSER, ViewsSocket } from '../views';
import type { Model } from './host';

export interface ScreenShared {
  kind: 'graph' | 'timeline' | 'objects' | 'object' | 'actor';
  options: { focus?: string };
  cluster: { id: string; address: string; name: string };
  frames: Record<string, string | undefined>;
}

interface Told {
  told?: string[];
  preview?: number;
  value?: ObjectPreview;
  error?: string;
}

/** So long a kernel may be busy before a preview is given up. */
const PREVIEW_MS = 30_000;

/** Looks like a websocket to `ViewsSocket`. */
class ModelSocket {
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  private told = new Map<string, string>();
  private welcomed = false;

  constructor(private model: Model<ScreenShared>) {
    model.on('change:frames', this.deliver);
    model.on('msg:custom', this.hear);
    queueMicrotask(this.deliver);
  }

  send(text: string): void {
    const said = JSON.parse(text) as { type: string; id: number };
    if (said.type === 'subscribe') {
      // The kernel knows the first view already: what it has of it is shown at once, even while it is busy.
      const known = this.told.get(String(said.id));
      if (known !== undefined) {
        queueMicrotask(() => this.onmessage?.({ data: known }));
      }
    }
    this.model.send({ say: text });
  }

  close(): void {
    this.model.off('change:frames', this.deliver);
    this.model.off('msg:custom', this.hear);
    this.onclose?.();
  }

  private deliver = (): void => {
    const frames = this.model.get('frames');
    const { welcome } = frames;
    if (welcome !== undefined && !this.welcomed) {
      this.welcomed = true;
      for (const [id, data] of Object.entries(frames)) {
        this.told.set(id, data ?? '');
      }
      this.onmessage?.({ data: welcome });
      return;
    }
    for (const [id, data] of Object.entries(frames)) {
      if (id !== 'welcome' && data !== undefined && this.told.get(id) !== data) {
        this.told.set(id, data);
        this.onmessage?.({ data });
      }
    }
  };

  private hear = (content: Told): void => {
    for (const data of content.told ?? []) {
      this.onmessage?.({ data });
    }
  };
}

export class ScreenHost {
  readonly clusters: Clusters;
  private previews = new Map<
    number,
    { done: (preview: ObjectPreview) => void; failed: (error: Error) => void }
  >();
  private numbers = 0;

  constructor(private model: Model<ScreenShared>) {
    const info: ClusterInfo = { ...model.get('cluster'), origin: '', alive: true } as ClusterInfo;
    this.clusters = new Clusters({
      clusters: () => Promise.resolve([info]),
      screens: () =>
        new ViewsSocket({
          ...BROWSER,
          open: () => new ModelSocket(model) as unknown as WebSocket
        })
    });
    model.on('msg:custom', this.hear);
  }

  preview(object: string, query: PreviewQuery): Promise<ObjectPreview> {
    const preview = ++this.numbers;
    return new Promise((done, failed) => {
      this.previews.set(preview, { done, failed });
      setTimeout(() => {
        if (this.previews.delete(preview)) {
          failed(new Error('The kernel is busy.'));
        }
      }, PREVIEW_MS);
      this.model.send({ preview, object, ...query });
    });
  }

  dispose(): void {
    this.model.off('msg:custom', this.hear);
    this.clusters.dispose();
  }

  private hear = (content: Told): void => {
    if (content.preview === undefined) {
      return;
    }
    const asked = this.previews.get(content.preview);
    this.previews.delete(content.preview);
    if (content.value) {
      asked?.done(content.value);
    } else {
      asked?.failed(new Error(content.error ?? 'The kernel did not say why.'));
    }
  };
}
