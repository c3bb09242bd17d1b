/**
 * A page of a table on screen: a plain, semantic table, which every screen reader knows how to read. The first cell of a
 * row is a button that selects it; arrows go from row to row. Rows keep their elements while they are shown, so focus
 * stays where it is when the page is told anew.
 */
import { button, element } from '../dom/elements';
import type { Row, TableModel } from '../model/table';
import type { Cell, Column } from './columns';

export interface TableEvents {
  selected: (id: string) => void;
  sorted: (field: string) => void;
}

export class TableGrid {
  readonly node = element('div', { class: 'raynb-Table-scroll' });
  selection = '';
  private table = element('table', { class: 'raynb-Table' });
  private head = element('thead');
  private rows = element('tbody');
  private shown = new Map<string, HTMLTableRowElement>();
  private columns: readonly Column[] = [];
  private headKey = '';

  constructor(
    private model: TableModel,
    private all: readonly Column[],
    caption: string,
    private events: TableEvents
  ) {
    this.table.append(
      element('caption', { class: 'raynb-Hidden', text: caption }),
      this.head,
      this.rows
    );
    this.node.append(this.table);
    this.rows.addEventListener('keydown', event => {
      if (this.key(event)) {
        event.preventDefault();
      }
    });
    this.rows.addEventListener('click', event => {
      const row = (event.target as HTMLElement).closest('tr');
      if (row?.dataset.row !== undefined && !getSelection()?.toString()) {
        this.select(row.dataset.row);
      }
    });
  }

  /** Call after the model has changed. */
  update(): void {
    this.drawHead();
    const now = Date.now();
    const before = this.shown;
    this.shown = new Map();
    const rows = this.model.rows.map(row => {
      const id = this.model.idOf(row);
      const line = before.get(id) ?? this.makeRow(id);
      this.shown.set(id, line);
      this.fill(line, row, now);
      return line;
    });
    // Only where something has moved: an element that is put in again loses the focus.
    const same = rows.length === this.rows.children.length;
    if (!same || rows.some((row, i) => row !== this.rows.children[i])) {
      const focused = (document.activeElement as HTMLElement | null)?.closest('tr')?.dataset.row;
      this.rows.replaceChildren(...rows);
      if (focused !== undefined) {
        this.shown.get(focused)?.querySelector('button')?.focus({ preventScroll: true });
      }
    }
    this.rove();
  }

  select(id: string): void {
    const next = id === this.selection ? '' : id;
    this.mark(this.selection, false);
    this.selection = next;
    this.mark(next, true);
    this.rove();
    this.events.selected(next);
  }

  private mark(id: string, on: boolean): void {
    const line = this.shown.get(id);
    line?.classList.toggle('raynb-mod-selected', on);
    line?.querySelector('button')?.setAttribute('aria-pressed', String(on));
  }

  private drawHead(): void {
    const { model } = this;
    const known = model.fields;
    this.columns = this.all.filter(
      ({ fields }) => fields.length === 0 || !known.size || fields.some(field => known.has(field))
    );
    const key = JSON.stringify([
      this.columns.map(column => column.title),
      model.sort,
      model.descending
    ]);
    if (key === this.headKey) {
      return;
    }
    this.headKey = key;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.sort;
    const line = element('tr');
    for (const column of this.columns) {
      line.append(this.headCell(column));
    }
    this.head.replaceChildren(line);
    for (const row of this.shown.values()) {
      row.replaceChildren(); // its columns may be others now
    }
    if (focused !== undefined) {
      this.head.querySelector<HTMLElement>(`[data-sort="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  private headCell(column: Column): HTMLElement {
    const cell = element('th', { class: column.numeric ? 'raynb-mod-number' : '' });
    cell.scope = 'col';
    const field = column.fields.at(0);
    if (!column.sorts || !field) {
      cell.textContent = column.title;
      return cell;
    }
    const { sort, descending } = this.model;
    if (sort === field) {
      cell.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    }
    const sorter = button(
      column.title,
      () => {
        this.events.sorted(field);
      },
      { class: 'raynb-Table-sort', 'data-sort': field, title: `Sort by ${column.title}` }
    );
    const arrow = sort === field ? (descending ? '▼' : '▲') : '';
    sorter.append(element('span', { 'aria-hidden': 'true', text: arrow }));
    cell.append(sorter);
    return cell;
  }

  private makeRow(id: string): HTMLTableRowElement {
    const line = element('tr');
    line.dataset.row = id;
    return line;
  }

  private fill(line: HTMLTableRowElement, row: Row, now: number): void {
    if (line.children.length !== this.columns.length) {
      line.replaceChildren(
        ...this.columns.map((column, i) => {
          const cell = element(i === 0 ? 'th' : 'td', {
            class: column.numeric ? 'raynb-mod-number' : ''
          });
          if (i === 0) {
            cell.scope = 'row';
            cell.append(button('', () => undefined, { class: 'raynb-Table-pick' }));
          }
          return cell;
        })
      );
    }
    const selected = line.dataset.row === this.selection;
    line.classList.toggle('raynb-mod-selected', selected);
    this.columns.forEach((column, i) => {
      const cell = column.cell(row, now);
      const place = line.children[i] as HTMLElement;
      const key = JSON.stringify(cell);
      if (place.dataset.key !== key) {
        place.dataset.key = key;
        const inner = place.querySelector<HTMLElement>('.raynb-Table-pick') ?? place;
        inner.replaceChildren(...cellParts(cell, column.title));
        place.title = cell.title ?? '';
      }
    });
    line.querySelector('button')?.setAttribute('aria-pressed', String(selected));
  }

  /** One row can be reached by Tab: the selected one, else the first. */
  private rove(): void {
    const focused = (document.activeElement as HTMLElement | null)?.closest('tr')?.dataset.row;
    const wanted = [focused, this.selection].find(id => id !== undefined && this.shown.has(id));
    let first = true;
    for (const [id, line] of this.shown) {
      const picked = line.querySelector('button');
      if (picked) {
        picked.tabIndex = (wanted === undefined ? first : id === wanted) ? 0 : -1;
      }
      first = false;
    }
  }

  private key(event: KeyboardEvent): boolean {
    const lines = [...this.rows.children] as HTMLElement[];
    const at = lines.findIndex(line => line.contains(document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.ctrlKey || event.metaKey || event.altKey) {
      return false;
    }
    lines[Math.min(lines.length - 1, Math.max(0, to))].querySelector('button')?.focus();
    this.rove();
    return true;
  }
}

export function cellParts(cell: Cell, title: string): HTMLElement[] {
  const parts: HTMLElement[] = [];
  if (cell.mark) {
    parts.push(
      element('span', { class: `raynb-Mark raynb-mod-${cell.mark}`, 'aria-hidden': 'true' })
    );
  }
  parts.push(element('span', { text: cell.text }));
  if (cell.full !== undefined) {
    parts.push(bar(cell.full, title, cell.text));
  }
  return parts;
}

/** How full something is, and whether that is a reason to worry. */
export function bar(full: number, title: string, words: string): HTMLElement {
  const percent = Math.round(100 * Math.min(1, Math.max(0, full)));
  const fill = element('span', {
    class: `raynb-Bar-fill${percent >= 90 ? ' raynb-mod-high' : ''}`
  });
  fill.style.width = `${percent}%`;
  return element(
    'span',
    {
      class: 'raynb-Bar',
      role: 'meter',
      label: title,
      'aria-valuemin': '0',
      'aria-valuemax': '100',
      'aria-valuenow': String(percent),
      'aria-valuetext': words
    },
    fill
  );
}
