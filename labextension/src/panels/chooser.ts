/** Which cluster the panels look at: shown where there is more than one. */
import { element } from '../dom/elements';
import type { Clusters } from '../model/clusters';

export class ClusterChooser {
  readonly node = element('select', {
    class: 'raynb-Select raynb-Chooser',
    label: 'Cluster',
    title: 'The cluster that all panels look at'
  });
  private shown = '';

  constructor(private clusters: Clusters) {
    this.node.addEventListener('change', () => {
      this.clusters.choose(this.node.value);
    });
    clusters.listChanged.connect(this.fill, this);
    clusters.currentChanged.connect(this.fill, this);
    this.fill();
  }

  dispose(): void {
    this.clusters.listChanged.disconnect(this.fill, this);
    this.clusters.currentChanged.disconnect(this.fill, this);
  }

  private fill(): void {
    const list = this.clusters.list;
    const key = JSON.stringify(list.map(({ id, name }) => [id, name]));
    if (key !== this.shown) {
      // Only then: an open list must not close under whoever is choosing.
      this.shown = key;
      this.node.replaceChildren(
        ...list.map(({ id, name }) => {
          const option = element('option', { text: name });
          option.value = id;
          return option;
        })
      );
    }
    this.node.value = this.clusters.current;
    this.node.hidden = list.length < 2;
  }
}
