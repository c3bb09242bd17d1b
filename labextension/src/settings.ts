/** The user's settings, with their defaults where there is no registry of settings. */
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal, type ISignal } from '@lumino/signaling';

export class Settings {
  grouping: 'function' | 'cell' = 'function';
  badges = true;
  private signal = new Signal<this, void>(this);

  constructor(registry: ISettingRegistry | null, id: string) {
    registry?.load(id).then(
      settings => {
        this.take(settings);
        settings.changed.connect(this.take, this);
      },
      (reason: unknown) => {
        console.warn('raynb: the settings could not be read; the defaults hold.', reason);
      }
    );
  }

  get changed(): ISignal<this, void> {
    return this.signal;
  }

  private take(settings: ISettingRegistry.ISettings): void {
    const { composite } = settings;
    this.grouping = composite.grouping === 'cell' ? 'cell' : 'function';
    this.badges = composite.badges !== false;
    document.body.classList.toggle('raynb-mod-still', composite.still === true);
    this.signal.emit();
  }
}
