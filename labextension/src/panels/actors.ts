/** Actors: what they are, how they do, what waits for them; and their end. */
import { clean } from '../dom/clean';
import { confirmed } from '../dom/confirm';
import { button, element } from '../dom/elements';
import { count } from '../dom/words';
import { numberOf, TableModel, textOf, type Row } from '../model/table';
import { ACTOR_COLUMNS, deathOf, restarts, stateCell } from '../table/columns';
import { Facts, type RowDetails, type RowTools, type TableKind } from './table';

/** `opensLogs`: whether there is a panel of logs to open. */
export function actorsKind(opensLogs: boolean): TableKind {
  return {
    model: new TableModel('actors', 'actor_id'),
    columns: ACTOR_COLUMNS,
    lens: 'what was called',
    caption: 'Actors of the cluster',
    search: 'Search class, name, call site …',
    choices: [
      {
        field: 'state',
        label: 'State',
        options: [
          ['', 'in any state'],
          ['ALIVE', 'alive'],
          ['PENDING_CREATION', 'being made'],
          ['RESTARTING', 'restarting'],
          ['DEAD', 'dead']
        ]
      }
    ],
    emptyText: 'No actors yet. A remote class makes one with .remote().',
    details: (row, tools) => actorDetails(row, tools, opensLogs)
  };
}

function actorDetails(row: Row, tools: RowTools, opensLogs: boolean): RowDetails {
  const id = textOf(row.actor_id);
  const facts = new Facts();
  const error = element('pre', { class: 'raynb-Details-error', label: 'Why it is dead' });
  error.tabIndex = 0;
  error.setAttribute('role', 'group');
  const methods = Array.isArray(row.methods) ? row.methods.map(each => clean(textOf(each))) : [];
  const name = clean(textOf(row.class_name)) || 'Actor';
  const buttons = element('div', { class: 'raynb-Details-buttons' });
  const kill = confirmed({
    text: 'Kill…',
    question: 'Kill it? Its state is lost, and its waiting calls fail.',
    yes: 'Kill it',
    done: 'Killed.',
    work: () => tools.act('kill_actor', id)
  });
  buttons.append(kill);
  if (opensLogs) {
    buttons.append(
      button('Its log', () => void tools.outside.execute('raynb:open-logs', logs(row)))
    );
  }
  const nodes = [element('h2', { text: name }), facts.node, error, buttons];
  if (methods.length) {
    const list = element('ul', { class: 'raynb-Methods', label: 'Methods' });
    list.append(...methods.map(method => element('li', { text: method })));
    nodes.push(element('h3', { text: 'Methods' }), list);
  }
  return {
    nodes,
    refresh: now => {
      facts.set('name', clean(textOf(now.name)));
      facts.set('state', stateCell(textOf(now.state)).text);
      facts.set('queue', calls(now));
      facts.set('restarts', restarts(now));
      facts.set('process', textOf(now.pid) === '0' ? '' : textOf(now.pid));
      facts.set('node', textOf(now.node_id).slice(0, 12));
      facts.set('needs', needs(now));
      facts.set('lives on', now.is_detached === true ? 'after its driver (detached)' : '');
      facts.set('made at', clean(textOf(now.call_site)));
      facts.set('id', id);
      const why = deathOf(now);
      error.hidden = !why;
      if (error.textContent !== why) {
        error.textContent = why;
      }
      kill.hidden = now.state === 'DEAD';
    }
  };
}

function logs(row: Row): Record<string, string> {
  return { source: `worker ${textOf(row.pid)}` };
}

/** "3 wait, 1 runs"; nothing where the cluster does not tell. */
function calls(row: Row): string {
  if (row.pending_calls === undefined) {
    return '';
  }
  const running = numberOf(row.running_calls);
  return `${count(numberOf(row.pending_calls))} wait, ${count(running)} run`;
}

/** "1 CPU, 2 GPU" */
function needs(row: Row): string {
  const resources = (row.required_resources ?? {}) as Record<string, unknown>;
  return Object.entries(resources)
    .map(([name, amount]) => `${textOf(amount)} ${clean(name)}`)
    .join(', ');
}
