/** Nodes: what they have, what of it is used, and whether they are well. */
import { clean } from '../dom/clean';
import { element } from '../dom/elements';
import { TableModel, textOf, type Row } from '../model/table';
import { bar } from '../table/view';
import { NODE_COLUMNS, resourceCell, stateCell } from '../table/columns';
import { Facts, type RowDetails, type TableKind } from './table';

export function nodesKind(): TableKind {
  return {
    model: new TableModel('nodes', 'node_id'),
    columns: NODE_COLUMNS,
    lens: 'what was there',
    caption: 'Nodes of the cluster',
    search: 'Search name, address, label …',
    choices: [
      {
        field: 'state',
        label: 'State',
        options: [
          ['', 'in any state'],
          ['ALIVE', 'alive'],
          ['DEAD', 'dead']
        ]
      }
    ],
    emptyText: 'The cluster has no node: it is ending.',
    details: nodeDetails
  };
}

function nodeDetails(row: Row): RowDetails {
  const facts = new Facts();
  const resources = element('div', { class: 'raynb-Resources' });
  const name = clean(textOf(row.node_name)) || 'Node';
  return {
    nodes: [
      element('h2', { text: name }),
      facts.node,
      element('h3', { text: 'Resources' }),
      resources
    ],
    refresh: now => {
      facts.set('state', stateCell(textOf(now.state)).text);
      facts.set('why', clean(textOf(now.state_message)));
      facts.set('address', textOf(now.node_ip));
      facts.set('process', textOf(now.pid));
      facts.set('labels', labels(now));
      facts.set('waiting for', labels(now, 'demand'));
      facts.set('id', textOf(now.node_id));
      const words = resourceNames(now).map(each => [each, resourceCell(now, each)] as const);
      const key = JSON.stringify(words);
      if (resources.dataset.key !== key) {
        resources.dataset.key = key;
        resources.replaceChildren(
          ...words.map(([each, cell]) => {
            const line = element('div', { class: 'raynb-Resource' });
            line.append(
              element('span', { text: `${clean(each)}: ${cell.text}` }),
              bar(cell.full ?? 0, clean(each), cell.text)
            );
            return line;
          })
        );
      }
    }
  };
}

/** Memory is told in bars of its own; a node's own name is a resource that nobody counts. */
function resourceNames(row: Row): string[] {
  return Object.entries(row.resources_total ?? {})
    .filter(([name, all]) => all > 0 && !name.startsWith('node:') && !name.endsWith('memory'))
    .map(([name]) => name);
}

function labels(row: Row, field = 'labels'): string {
  return Object.entries(row[field] ?? {})
    .map(([name, value]) => `${clean(name)} = ${clean(textOf(value))}`)
    .join(', ');
}
