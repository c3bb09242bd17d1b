/** What the panels with tables have in common: search, filters, a page at a time, and details of the selected row. */
import { button, element, select } from '../dom/elements';
import { count } from '../dom/words';
import type { Act, TablePage } from '../generated/screen';
import type { Clusters } from '../model/clusters';
import { Followed } from '../model/follow';
import type { Selection } from '../model/selection';
import { TableModel, type Row } from '../model/table';
import type { Column } from '../table/columns';
import { TableGrid } from '../table/view';
import { LENS_MS, lensChips, showParts } from './lens';
import { Panel, type Outside, type PanelOptions } from './panel';

const SEARCH_MS = 250;

export interface Choice {
  field: string;
  label: string;
  /** Values of the field, and what they are called; the empty one is first: all. */
  options: readonly (readonly [value: string, text: string])[];
}

export interface TableKind {
  model: TableModel;
  columns: readonly Column[];
  /** What it keeps of a brushed stretch: "what was made", say. */
  lens: string;
  /** What is not known of a moment that has passed. */
  past?: string;
  caption: string;
  search: string;
  choices: readonly Choice[];
  emptyText: string;
  /** What is known of a row, beside the table; `refresh` is called again and again with its newest. */
  details: (row: Row, tools: RowTools) => RowDetails;
}

export interface RowTools {
  cluster: string;
  outside: Outside;
  act: (action: Act['action'], target: string) => Promise<void>;
  filter: (field: string, value: string) => void;
}

export interface RowDetails {
  nodes: HTMLElement[];
  refresh?: (row: Row) => void;
  dispose?: () => void;
}

export class TablePanel extends Panel {
  readonly model: TableModel;
  protected followed: Followed;
  protected emptyText: string;
  private grid: TableGrid;
  private details = element('aside', { class: 'raynb-Details', label: 'The selected row' });
  private shown: { id: string; details: RowDetails } | null = null;
  private searchBox = element('input', { class: 'raynb-Input' });
  private searchTimer = 0;
  private lensTimer = 0;
  private chosen = new Map<string, HTMLSelectElement>();
  private trail = element('div', { class: 'raynb-Trail' });
  private tally = element('div', { class: 'raynb-Tally', role: 'status' });
  private none = element('p', { class: 'raynb-Table-none', role: 'status' });
  private back: HTMLButtonElement;
  private on: HTMLButtonElement;

  constructor(
    options: PanelOptions,
    outside: Outside,
    clusters: Clusters,
    private selection: Selection,
    private kind: TableKind,
    /** Only this row, and its details at once. */
    private single = ''
  ) {
    super(options, outside);
    this.model = kind.model;
    this.model.at = selection.moment;
    this.model.between = betweenOf(selection);
    if (single) {
      this.model.filterBy(this.model.key, single);
    }
    this.emptyText = kind.emptyText;
    this.addClass('raynb-TablePanel');
    this.grid = new TableGrid(this.model, kind.columns, kind.caption, {
      selected: id => {
        this.showDetails(id);
      },
      sorted: field => {
        this.model.sortBy(field);
        this.ask();
      }
    });
    this.followed = new Followed(clusters, this.model.view(), {
      told: state => {
        this.model.apply(state as TablePage);
      },
      settled: () => {
        this.settled();
      },
      cleared: () => {
        this.model.clear();
        this.showDetails('');
        this.grid.update();
      }
    });
    this.back = button('‹', () => this.turn(-1), { label: 'Previous page' });
    this.on = button('›', () => this.turn(1), { label: 'Next page' });
    this.build();
    selection.momentChanged.connect(this.look, this);
    selection.brushChanged.connect(this.lookSoon, this);
    this.start();
  }

  dispose(): void {
    if (!this.isDisposed) {
      clearTimeout(this.searchTimer);
      clearTimeout(this.lensTimer);
      this.shown?.details.dispose?.();
      this.selection.momentChanged.disconnect(this.look, this);
      this.selection.brushChanged.disconnect(this.lookSoon, this);
      super.dispose();
    }
  }

  protected get hasContent(): boolean {
    const { model } = this;
    const asked = model.search !== '' || model.filters.size > 0;
    const past = model.at !== null || model.between !== null;
    return model.loaded && (model.everHadRows || asked || past);
  }

  private build(): void {
    const { kind, searchBox } = this;
    searchBox.type = 'search';
    searchBox.placeholder = kind.search;
    searchBox.setAttribute('aria-label', kind.search);
    searchBox.dataset.firstFocus = '';
    searchBox.addEventListener('input', () => {
      clearTimeout(this.searchTimer);
      this.searchTimer = window.setTimeout(() => {
        if (this.model.searchFor(searchBox.value)) {
          this.ask();
        }
      }, SEARCH_MS);
    });
    this.toolbar.append(searchBox);
    for (const choice of kind.choices) {
      const node = select(choice.label, choice.options, '', value => {
        this.filter(choice.field, value);
      });
      this.chosen.set(choice.field, node);
      this.toolbar.append(node);
    }
    const pager = element('span', { class: 'raynb-Group', role: 'group', label: 'Pages' });
    pager.append(this.back, this.on);
    this.toolbar.append(this.trail, this.tally, pager);
    this.details.hidden = true;
    this.details.tabIndex = 0;
    const stage = element('div', { class: 'raynb-Table-stage' }, this.grid.node, this.none);
    this.body.append(stage, this.details);
    this.body.classList.add('raynb-mod-split');
    this.describe();
  }

  private ask(): void {
    this.followed.show(this.model.view());
    this.describe();
  }

  /** Show one row alone, of whatever there is. */
  only(id: string): void {
    this.model.filters.clear();
    for (const node of this.chosen.values()) {
      node.value = '';
    }
    this.filter(this.model.key, id);
  }

  private look(): void {
    this.model.at = this.selection.moment;
    this.model.between = betweenOf(this.selection);
    this.model.offset = 0;
    this.ask();
  }

  private lookSoon(): void {
    clearTimeout(this.lensTimer);
    this.lensTimer = window.setTimeout(() => {
      this.look();
    }, LENS_MS);
  }

  private turn(pages: 1 | -1): void {
    this.model.turn(pages);
    this.grid.node.scrollTop = 0;
    this.ask();
  }

  private filter(field: string, value: string): void {
    this.model.filterBy(field, value);
    const node = this.chosen.get(field);
    if (node && node.value !== value) {
      node.value = value;
    }
    this.ask();
  }

  private settled(): void {
    if (this.model.isBeyond) {
      this.model.turn(-1);
      this.ask();
      return;
    }
    this.grid.update();
    if (this.single && !this.shown && this.model.find(this.single)) {
      this.grid.select(this.single);
    }
    const row = this.shown ? this.model.find(this.shown.id) : undefined;
    if (row) {
      this.shown?.details.refresh?.(row);
    }
    this.describe();
  }

  private showDetails(id: string): void {
    if (this.shown?.id === id) {
      return;
    }
    this.shown?.details.dispose?.();
    this.shown = null;
    const row = id ? this.model.find(id) : undefined;
    this.details.hidden = !row;
    if (row) {
      const details = this.kind.details(row, {
        cluster: this.followed.clusterId,
        outside: this.outside,
        act: (action, target) => this.followed.act(action, target),
        filter: (field, value) => {
          this.filter(field, value);
        }
      });
      this.shown = { id, details };
      this.details.replaceChildren(...details.nodes);
      details.refresh?.(row);
    }
  }

  private describe(): void {
    const { model } = this;
    const parts = model.loaded ? [model.range()] : [];
    if (model.dropped) {
      parts.push(`${count(model.dropped)} more are not kept`);
    }
    if (model.unanswered) {
      const who = model.unanswered === 1 ? 'process is' : 'processes are';
      parts.push(`${count(model.unanswered)} ${who} too busy to say what they hold`);
    }
    if (model.untimed) {
      parts.push(`of ${count(model.untimed)} more it is not known when they were made`);
    }
    if (model.at !== null && this.kind.past) {
      parts.push(this.kind.past);
    }
    const text = parts.join(' · ');
    if (this.tally.textContent !== text) {
      this.tally.textContent = text;
    }
    this.back.disabled = !model.canGoBack;
    this.on.disabled = !model.canGoOn;
    const none = model.loaded && model.total === 0 ? 'Nothing matches.' : '';
    if (this.none.textContent !== none) {
      this.none.textContent = none;
    }
    this.none.hidden = !none;
    this.describeTrail();
  }

  private describeTrail(): void {
    const parts: HTMLElement[] = [];
    for (const [field, , value] of this.model.filters.values()) {
      if (!this.chosen.has(field)) {
        const words = `${field.replaceAll('_', ' ')}: ${value.slice(0, 40)}`;
        parts.push(
          button(`${words} ✕`, () => this.filter(field, ''), { label: `No more only ${words}` })
        );
      }
    }
    parts.push(...lensChips(this.selection, this.kind.lens));
    showParts(this.trail, parts);
  }
}

function betweenOf({ brush }: Selection): [start: number, end: number] | null {
  return brush ? [brush.start, brush.end] : null;
}

/** A list of facts whose values are set again and again. */
export class Facts {
  readonly node = element('dl', { class: 'raynb-Facts' });
  private values = new Map<string, HTMLElement>();

  set(name: string, value: string): void {
    let place = this.values.get(name);
    if (!value && !place) {
      return;
    }
    if (!place) {
      place = element('dd');
      this.values.set(name, place);
      this.node.append(element('dt', { text: name }), place);
    }
    if (place.textContent !== value) {
      place.textContent = value;
    }
  }
}
