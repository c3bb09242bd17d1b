/** What all panels have in common: a toolbar, the content, and something to say while there is nothing to show. */
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { button, element } from '../dom/elements';
import type { Clusters } from '../model/clusters';
import type { Condition, Followed } from '../model/follow';
import { ClusterChooser } from './chooser';

export interface PanelOptions {
  id: string;
  title: string;
  icon: Widget['title']['icon'];
}

/** How a panel asks for things to be done elsewhere in JupyterLab. */
export interface Outside {
  execute: (command: string, args?: Record<string, string | number | null>) => Promise<unknown>;
}

export abstract class Panel extends Widget {
  protected readonly toolbar = element('div', { class: 'raynb-Toolbar', role: 'toolbar' });
  private chooser: ClusterChooser | null = null;
  protected readonly body = element('div', { class: 'raynb-Panel-body' });
  private notice = element('div', { class: 'raynb-Notice', role: 'status' });
  private strip = element('div', { class: 'raynb-Strip', role: 'status' });

  constructor(
    options: PanelOptions,
    protected outside: Outside
  ) {
    super();
    this.id = options.id;
    this.title.label = options.title;
    this.title.caption = `raynb: ${options.title}`;
    this.title.icon = options.icon;
    this.title.closable = true;
    this.addClass('raynb-Panel');
    this.toolbar.setAttribute('aria-label', `${options.title}: tools`);
    this.node.tabIndex = -1;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', `raynb: ${options.title}`);
    this.node.append(this.toolbar, this.strip, this.body, this.notice);
    this.strip.hidden = true;
  }

  /** Lets the user choose the cluster, where there are several. */
  addChooser(clusters: Clusters): void {
    this.chooser = new ClusterChooser(clusters);
    this.toolbar.prepend(this.chooser.node);
  }

  protected abstract followed: Followed;
  /** Whether there is something worth showing even though the connection is gone. */
  protected abstract hasContent: boolean;
  /** What to say when the cluster is there, but this view of it is empty. */
  protected abstract emptyText: string;

  protected start(): void {
    this.followed.conditionChanged.connect(this.refreshNotice, this);
    this.refreshNotice();
  }

  protected onAfterShow(): void {
    this.followed.look(true);
  }

  protected onAfterAttach(): void {
    if (this.isVisible) {
      this.followed.look(true);
    }
  }

  protected onBeforeHide(): void {
    this.followed.look(false);
  }

  protected onBeforeDetach(): void {
    this.followed.look(false);
  }

  protected onActivateRequest(): void {
    if (this.body.inert) {
      // What is covered takes no focus: it goes on to the content as soon as that is there.
      this.node.focus();
    } else {
      this.focusFirst();
    }
  }

  /** Closed is gone, or the layout would bring it back after a reload. */
  protected onCloseRequest(message: Message): void {
    super.onCloseRequest(message);
    this.dispose();
  }

  private focusFirst(): void {
    const first =
      this.body.querySelector<HTMLElement>('[data-first-focus]') ??
      this.node.querySelector<HTMLElement>('button, [tabindex="0"]');
    first?.focus();
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.chooser?.dispose();
      this.followed.dispose();
      super.dispose();
    }
  }

  /** Shows either the content or why there is none; over content of the past only a strip. */
  protected refreshNotice(): void {
    const condition = this.followed.condition;
    const live = condition.kind === 'live';
    const say =
      describe(condition) ?? (this.hasContent ? null : { text: this.emptyText, detail: '' });
    const covers = say !== null && !(this.hasContent && condition.kind !== 'refused');
    this.notice.hidden = !covers;
    this.body.inert = covers;
    if (!covers && document.activeElement === this.node) {
      this.focusFirst();
    }
    this.strip.hidden = live || covers || say === null || condition.kind === 'loading';
    if (covers) {
      this.fillNotice(say, condition);
    } else if (say && !this.strip.hidden && this.strip.textContent !== say.text) {
      this.strip.textContent = say.text;
    }
  }

  private fillNotice(say: { text: string; detail: string }, condition: Condition): void {
    const key = `${condition.kind} ${say.text} ${say.detail}`;
    if (this.notice.dataset.key === key) {
      return; // a live region speaks only when something is new
    }
    this.notice.dataset.key = key;
    this.notice.dataset.kind = condition.kind;
    const mark = element('div', { class: 'raynb-Notice-mark', 'aria-hidden': 'true' });
    const lines: HTMLElement[] = [mark, element('p', { text: say.text })];
    if (say.detail) {
      lines.push(element('p', { class: 'raynb-dim', text: say.detail }));
    }
    if (condition.kind === 'absent') {
      lines.push(this.offer('Start a cluster', 'raynb:new-cluster'));
    } else if (condition.kind === 'lost' || condition.kind === 'unreachable') {
      lines.push(
        button('Try again now', () => {
          this.followed.reconnect();
        })
      );
    }
    this.notice.replaceChildren(...lines);
  }

  private offer(text: string, command: string): HTMLElement {
    return button(text, () => void this.outside.execute(command), { class: 'raynb-mod-accept' });
  }
}

function describe(condition: Condition): { text: string; detail: string } | null {
  switch (condition.kind) {
    case 'live':
      return null;
    case 'searching':
      return { text: 'Looking for clusters …', detail: '' };
    case 'absent':
      return {
        text: 'No cluster is running.',
        detail: 'Start one here, or run ray.init() or a %%remote cell in a notebook.'
      };
    case 'unreachable':
      return { text: "raynb's server extension does not answer.", detail: condition.error };
    case 'connecting':
      return { text: 'Connecting to the cluster …', detail: '' };
    case 'loading':
      return { text: 'Asking the cluster …', detail: '' };
    case 'lost':
      return {
        text: 'The connection to the cluster is lost; trying again.',
        detail: 'What runs on the cluster is not affected.'
      };
    case 'mismatch':
      return {
        text: 'This page and the cluster speak different versions of the protocol.',
        detail: `The cluster has raynb ${condition.version} (screen protocol ${condition.protocol}). Reload this page; if that does not help, restart the Jupyter server.`
      };
    case 'refused':
      return { text: 'The cluster refused this view.', detail: condition.error };
  }
}
