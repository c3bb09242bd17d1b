/**
 * A look into an object: a slice of an array with its histogram, a page of a table, a picture, a text. It is asked for
 * when somebody looks, page by page; what comes is shown as text or as a picture, never as a page of its own.
 */
import { clean } from '../dom/clean';
import { button, element } from '../dom/elements';
import { bytes, count } from '../dom/words';
import type { Column, ObjectPreview } from '../generated/screen';
import { histogramView } from './histogram';

export interface PreviewQuery {
  /** The first row. */
  offset: number;
  /** Indices of an array's leading dimensions. */
  at: readonly number[];
}

export type LoadPreview = (query: PreviewQuery) => Promise<ObjectPreview>;

/** Pictures that can run nothing: inside of an `img` scripts of an SVG are dead. */
const PICTURE = /^data:image\/(?:png|svg\+xml|jpeg|gif|webp)[;,]/;
const CELL_MAX = 200;

export class PreviewView {
  readonly node = element('section', { class: 'raynb-Preview', label: 'Preview' });
  private said = element('p', { class: 'raynb-dim', role: 'status' });
  private content = element('div', { class: 'raynb-Preview-content' });
  private query: PreviewQuery = { offset: 0, at: [] };
  private asked = 0;

  constructor(private load: LoadPreview) {
    this.node.append(this.said, this.content);
    this.ask();
  }

  dispose(): void {
    this.asked = -1;
  }

  private ask(query: Partial<PreviewQuery> = {}): void {
    this.query = { ...this.query, ...query };
    this.said.textContent = 'Looking into it …';
    const number = ++this.asked;
    this.load(this.query).then(
      preview => {
        if (number === this.asked) {
          this.said.textContent = '';
          this.show(preview);
        }
      },
      (error: unknown) => {
        if (number === this.asked) {
          const reason = error instanceof Error ? error.message : String(error);
          this.said.textContent = `There is no preview: ${reason}`;
        }
      }
    );
  }

  private show(preview: ObjectPreview): void {
    const focused = document.activeElement?.getAttribute('aria-label');
    const held = this.content.contains(document.activeElement);
    this.content.replaceChildren(...this.parts(preview));
    if (held && focused) {
      this.content.querySelector<HTMLElement>(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  private parts(preview: ObjectPreview): HTMLElement[] {
    const parts: HTMLElement[] = [element('p', { text: headline(preview) })];
    if (preview.image && PICTURE.test(preview.image)) {
      const image = element('img', { class: 'raynb-Preview-image' });
      image.alt = `Picture: ${headline(preview)}`;
      image.src = preview.image;
      parts.push(image);
    }
    if (preview.histogram?.counts.length) {
      parts.push(histogramView(preview.histogram));
    }
    if (preview.kind === 'array' && preview.at.length) {
      parts.push(this.slicer(preview));
    }
    if (preview.rows.length || preview.columns.length) {
      parts.push(rowsTable(preview));
      if (preview.total > preview.rows.length) {
        parts.push(this.pager(preview));
      }
    }
    if (preview.text) {
      const text = element('pre', { class: 'raynb-Preview-text', text: clean(preview.text) });
      text.tabIndex = 0;
      text.setAttribute('role', 'group');
      text.setAttribute('aria-label', preview.kind === 'bytes' ? 'Bytes' : 'Text');
      parts.push(text);
    }
    if (preview.note) {
      parts.push(element('p', { class: 'raynb-dim', text: clean(preview.note) }));
    }
    return parts;
  }

  /** A field for each leading dimension: which of its slices is shown. */
  private slicer(preview: ObjectPreview): HTMLElement {
    const box = element('div', { class: 'raynb-Group', role: 'group', label: 'Slice' });
    preview.at.forEach((index, axis) => {
      const field = element('input', { class: 'raynb-Input', label: `Index in dimension ${axis}` });
      field.type = 'number';
      field.min = '0';
      field.max = String(Math.max(0, (preview.shape?.[axis] ?? 1) - 1));
      field.value = String(index);
      field.addEventListener('change', () => {
        const value = Math.min(Number(field.max), Math.max(0, Math.floor(Number(field.value))));
        const at = preview.at.map((each, i) => (i === axis ? value : each));
        this.ask({ at, offset: 0 });
      });
      box.append(field);
    });
    box.append(element('span', { class: 'raynb-dim', text: 'of the leading dimensions' }));
    return box;
  }

  private pager(preview: ObjectPreview): HTMLElement {
    const { offset, rows, total } = preview;
    const step = Math.max(1, rows.length);
    const back = button('‹', () => this.ask({ offset: Math.max(0, offset - step) }), {
      label: 'Rows before'
    });
    const on = button('›', () => this.ask({ offset: offset + step }), { label: 'Rows after' });
    back.disabled = offset <= 0;
    on.disabled = offset + rows.length >= total;
    const where = `rows ${count(offset)}–${count(offset + rows.length - 1)} of ${count(total)}`;
    return element(
      'div',
      { class: 'raynb-Group', role: 'group', label: 'Rows' },
      back,
      on,
      element('span', { text: where, role: 'status' })
    );
  }
}

/** "numpy.ndarray float64 1000 × 20, 160 KB" */
export function headline(preview: ObjectPreview): string {
  const shape = preview.shape?.map(count).join(' × ');
  const parts = [clean(preview.type), clean(preview.dtype), shape].filter(Boolean).join(' ');
  return preview.bytes ? `${parts}, ${bytes(preview.bytes)}` : parts;
}

function rowsTable(preview: ObjectPreview): HTMLElement {
  const table = element('table', { class: 'raynb-Table raynb-Preview-table' });
  const caption = preview.kind === 'array' ? 'A slice of the array' : 'Rows of the table';
  table.append(element('caption', { class: 'raynb-Hidden', text: caption }));
  const head = element('tr');
  const corner = element('th', { text: preview.kind === 'array' ? '' : 'row' });
  corner.scope = 'col';
  head.append(corner.textContent ? corner : element('td'));
  const wide = Math.max(preview.columns.length, preview.rows.at(0)?.length ?? 0);
  for (let i = 0; i < wide; i++) {
    const column = preview.columns.at(i);
    const cell = element('th', {}, ...(column ? columnParts(column) : [words(String(i))]));
    cell.scope = 'col';
    head.append(cell);
  }
  const body = element('tbody');
  preview.rows.forEach((row, i) => {
    const line = element('tr');
    const name = element('th', { text: count(preview.offset + i) });
    name.scope = 'row';
    line.append(name, ...row.map(value => valueCell(value)));
    body.append(line);
  });
  table.append(element('thead', {}, head), body);
  const box = element('div', { class: 'raynb-Table-scroll', role: 'group', label: caption }, table);
  box.tabIndex = 0;
  return box;
}

function columnParts(column: Column): HTMLElement[] {
  const nulls = column.nulls === null ? '' : column.nulls ? `, ${count(column.nulls)} missing` : '';
  return [
    words(clean(column.name)),
    element('span', { class: 'raynb-Preview-type', text: `${clean(column.type)}${nulls}` })
  ];
}

function valueCell(value: string): HTMLElement {
  const text = clean(value);
  const cell = element('td', {
    text: text.length > CELL_MAX ? `${text.slice(0, CELL_MAX)}…` : text
  });
  if (text !== '' && !Number.isNaN(Number(text))) {
    cell.className = 'raynb-mod-number';
  }
  return cell;
}

function words(text: string): HTMLElement {
  return element('span', { text });
}
