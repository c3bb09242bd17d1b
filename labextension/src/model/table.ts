/** What is asked of a table, and the page of it that was told last. Knows no screen. */
import type { TablePage, TableView } from '../generated/screen';

export type Row = Readonly<Record<string, unknown>>;
export type Filter = readonly [field: string, operator: '=' | '!=', value: string];

const LIMIT = 50;

export class TableModel {
  search = '';
  filters = new Map<string, Filter>();
  sort = '';
  descending = true;
  offset = 0;
  limit = LIMIT;
  /** The moment that is looked at; null: now, and live. */
  at: number | null = null;
  /** Only what has to do with this stretch; null: all. */
  between: [start: number, end: number] | null = null;
  rows: readonly Row[] = [];
  total = 0;
  dropped = 0;
  unanswered = 0;
  untimed = 0;
  loaded = false;
  /** Whether anything was ever in it, whatever is searched for now. */
  everHadRows = false;
  /** All fields that rows have had: only by these the hub can sort. */
  readonly fields = new Set<string>();

  constructor(
    readonly table: TableView['table'],
    /** The field that tells one row from another. */
    readonly key: string
  ) {}

  apply(page: TablePage): void {
    this.rows = page.rows;
    this.total = page.total;
    this.dropped = page.dropped;
    this.unanswered = page.unanswered;
    this.untimed = page.untimed;
    this.loaded = true;
    this.everHadRows ||= page.total > 0;
    for (const field of Object.keys(page.rows[0] ?? {})) {
      this.fields.add(field);
    }
  }

  clear(): void {
    this.apply({ view: 'table', rows: [], total: 0, dropped: 0, unanswered: 0, untimed: 0 });
    this.loaded = this.everHadRows = false;
    this.offset = 0;
  }

  view(): TableView {
    return {
      view: 'table',
      table: this.table,
      filters: [...this.filters.values()].map(([field, operator, value]) => [
        field,
        operator,
        value
      ]),
      search: this.search.trim(),
      sort: this.sort,
      descending: this.descending,
      offset: this.offset,
      limit: this.limit,
      at: this.at,
      between: this.between
    };
  }

  idOf(row: Row): string {
    return textOf(row[this.key]);
  }

  find(id: string): Row | undefined {
    return this.rows.find(row => this.idOf(row) === id);
  }

  searchFor(text: string): boolean {
    const same = text.trim() === this.search.trim();
    this.search = text;
    this.offset = same ? this.offset : 0;
    return !same;
  }

  /** An empty value takes the filter of this field away. */
  filterBy(field: string, value: string, operator: '=' | '!=' = '='): void {
    if (value) {
      this.filters.set(field, [field, operator, value]);
    } else {
      this.filters.delete(field);
    }
    this.offset = 0;
  }

  /** The other way round where it is sorted by this field already. */
  sortBy(field: string, descending = true): void {
    this.descending = field === this.sort ? !this.descending : descending;
    this.sort = field;
    this.offset = 0;
  }

  get canGoBack(): boolean {
    return this.offset > 0;
  }

  get canGoOn(): boolean {
    return this.offset + this.limit < this.total;
  }

  turn(pages: 1 | -1): void {
    const last = Math.max(0, Math.ceil(this.total / this.limit) - 1) * this.limit;
    this.offset = Math.min(last, Math.max(0, this.offset + pages * this.limit));
  }

  /** Rows that have gone may have left an empty page behind; then the last one that isn't is wanted. */
  get isBeyond(): boolean {
    return this.loaded && this.rows.length === 0 && this.total > 0 && this.offset > 0;
  }

  /** "1–50 of 250" */
  range(): string {
    const number = new Intl.NumberFormat('en');
    if (!this.rows.length) {
      return this.total ? `none of ${number.format(this.total)}` : 'none';
    }
    const [from, to] = [this.offset + 1, this.offset + this.rows.length];
    return `${number.format(from)}–${number.format(to)} of ${number.format(this.total)}`;
  }
}

/** A value of a row as text; nothing for what is not known. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) {
    return '';
  }
  if (typeof value === 'string') {
    return value;
  }
  if (typeof value === 'number' || typeof value === 'boolean') {
    return String(value);
  }
  if (Array.isArray(value)) {
    return value.map(textOf).join(', ');
  }
  return JSON.stringify(value);
}

export function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
