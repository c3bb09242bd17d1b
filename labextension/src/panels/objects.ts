/** Objects: what there is, who holds it, where it is; a look into each; and a way to be rid of it. */
import { clean } from '../dom/clean';
import { confirmed } from '../dom/confirm';
import { button, element } from '../dom/elements';
import { bytes, duration } from '../dom/words';
import { numberOf, TableModel, textOf, type Row } from '../model/table';
import type { ObjectPreview } from '../generated/screen';
import { PreviewView, type PreviewQuery } from '../preview/view';
import {
  holders,
  isActor,
  isMade,
  OBJECT_COLUMNS,
  shapeText,
  stateCell,
  typeName
} from '../table/columns';
import type { Outside } from './panel';
import { Facts, type RowDetails, type RowTools, type TableKind } from './table';

export interface ObjectsOutside extends Outside {
  preview: (cluster: string, object: string, query: PreviewQuery) => Promise<ObjectPreview>;
}

export function objectsKind(outside: ObjectsOutside): TableKind {
  return {
    model: new TableModel('objects', 'object_id'),
    columns: OBJECT_COLUMNS,
    lens: 'what was made',
    past: 'small values and who used them then are not recorded',
    caption: 'Objects of the cluster',
    search: 'Search type, call site, id …',
    choices: [
      {
        field: 'state',
        label: 'State',
        options: [
          ['', 'in any state'],
          ['STORED', 'in shared memory'],
          ['READY', 'with their owner'],
          ['PENDING', 'not made yet'],
          ['FAILED', 'failed']
        ]
      },
      {
        field: 'reference_type',
        label: 'Held by',
        options: [
          ['', 'held by anything'],
          ['LOCAL_REFERENCE', 'held by a variable'],
          ['USED_BY_PENDING_TASK', 'held by queued tasks'],
          ['ACTOR_HANDLE', "held by an actor's handles"],
          ['PINNED_IN_MEMORY', 'held by others']
        ]
      }
    ],
    emptyText:
      'No objects yet. What ray.put() stores, what tasks return, and what %%remote cells assign stands here.',
    details: (row, tools) => objectDetails(row, tools, outside)
  };
}

function objectDetails(row: Row, tools: RowTools, outside: ObjectsOutside): RowDetails {
  const id = textOf(row.object_id);
  const facts = new Facts();
  const preview = isMade(row)
    ? new PreviewView(query => outside.preview(tools.cluster, id, query))
    : null;
  const buttons = element('div', { class: 'raynb-Details-buttons' });
  const site = textOf(row.call_site);
  if (site) {
    buttons.append(button('Only from this line', () => tools.filter('call_site', site)));
  }
  if (isActor(row)) {
    buttons.append(button('Actors', () => void tools.outside.execute('raynb:open-actors')));
  } else {
    buttons.append(
      confirmed({
        text: 'Free…',
        question: `Free ${bytes(numberOf(row.object_size))}? Whoever reads it then gets an error.`,
        yes: 'Free it',
        done: 'Freed.',
        work: () => tools.act('free', id)
      })
    );
  }
  const name = clean(textOf(row.name)) || typeName(row) || 'Object';
  const nodes = [element('h2', { text: name }), facts.node, buttons];
  return {
    nodes: preview ? [...nodes, preview.node] : nodes,
    refresh: now => {
      facts.set('type', isActor(now) ? typeName(now) : clean(textOf(now.value_type)));
      facts.set('shape', shapeText(now));
      facts.set('size', isMade(now) ? bytes(numberOf(now.object_size)) : '');
      facts.set('state', stateCell(textOf(now.state)).text);
      facts.set('held by', holders(now));
      facts.set('references', references(now));
      facts.set('made at', clean(site));
      facts.set('owner', `${textOf(now.type).toLowerCase()} ${textOf(now.pid)}`.trim());
      facts.set('node', textOf(now.node_id).slice(0, 12));
      const created = numberOf(now.created_ms);
      facts.set('age', created ? duration(Math.max(0, Date.now() - created)) : '');
      facts.set('id', id);
    },
    dispose: () => preview?.dispose()
  };
}

/** "2 here, 3 queued tasks, 1 other process" */
function references(row: Row): string {
  const parts: string[] = [];
  const add = (field: string, one: string, many: string): void => {
    const number = numberOf(row[field]);
    if (number) {
      parts.push(`${number} ${number === 1 ? one : many}`);
    }
  };
  add('local_references', 'in its owner', 'in its owner');
  add('pending_tasks', 'queued task', 'queued tasks');
  add('borrowers', 'other process', 'other processes');
  add('failed_tasks', 'failed task', 'failed tasks');
  return parts.join(', ');
}
