import assert from 'node:assert/strict';
import test from 'node:test';
import { clean } from '../src/dom/clean';
import type { LogLine, LogPage, TablePage } from '../src/generated/screen';
import { LINES_MAX, LogModel } from '../src/model/logs';
import { TableModel, textOf } from '../src/model/table';
import { histogramWords, numeral } from '../src/preview/histogram';
import { headline } from '../src/preview/view';
import {
  ACTOR_COLUMNS,
  deathOf,
  holders,
  NODE_COLUMNS,
  OBJECT_COLUMNS,
  resourceCell,
  restarts,
  shapeText,
  shortId,
  stateCell
} from '../src/table/columns';

function page(total: number, rows: Record<string, unknown>[]): TablePage {
  return { view: 'table', rows, total, dropped: 0, unanswered: 0, untimed: 0 };
}

function objects(): TableModel {
  return new TableModel('objects', 'object_id');
}

test('what is asked for is a page of what is searched, filtered and sorted', () => {
  const model = objects();
  model.searchFor(' ndarray ');
  model.filterBy('state', 'STORED');
  model.sortBy('object_size');
  assert.deepEqual(model.view(), {
    view: 'table',
    table: 'objects',
    filters: [['state', '=', 'STORED']],
    search: 'ndarray',
    sort: 'object_size',
    descending: true,
    offset: 0,
    limit: 50,
    at: null,
    between: null
  });
  model.sortBy('object_size');
  assert.equal(model.view().descending, false);
  model.filterBy('state', '');
  assert.deepEqual(model.view().filters, []);
});

test('a moment and a stretch are asked for as they are looked at', () => {
  const model = objects();
  model.at = 17;
  model.between = [3, 9];
  const { at, between } = model.view();
  assert.deepEqual([at, between], [17, [3, 9]]);
});

test('another search or filter begins at the first page, the same search does not', () => {
  const model = objects();
  model.apply(page(120, [{ object_id: 'a' }]));
  model.turn(1);
  assert.equal(model.searchFor(' '), false);
  assert.equal(model.offset, 50);
  assert.equal(model.searchFor('x'), true);
  assert.equal(model.offset, 0);
  model.turn(1);
  model.filterBy('state', 'FAILED');
  assert.equal(model.offset, 0);
});

test('pages end where the rows do', () => {
  const model = objects();
  model.apply(page(120, [{ object_id: 'a' }, { object_id: 'b' }]));
  assert.equal(model.range(), '1–2 of 120');
  assert.equal(model.canGoBack, false);
  model.turn(1);
  model.turn(1);
  model.turn(1);
  assert.equal(model.offset, 100);
  assert.equal(model.canGoOn, false);
  model.turn(-1);
  assert.equal(model.offset, 50);
  model.apply(page(20, []));
  assert.equal(model.isBeyond, true);
  assert.equal(model.range(), 'none of 20');
});

test('rows are known by their key', () => {
  const model = objects();
  model.apply(page(2, [{ object_id: 'a' }, { object_id: 'b', object_size: 3 }]));
  assert.deepEqual(model.find('b'), { object_id: 'b', object_size: 3 });
  assert.equal(model.find('c'), undefined);
  model.clear();
  assert.equal(model.loaded, false);
});

test('values are text, whatever they are', () => {
  assert.equal(textOf(null), '');
  assert.equal(textOf(['a', 1, null]), 'a, 1, ');
  assert.equal(textOf({ CPU: 1 }), '{"CPU":1}');
});

test('who holds an object is told by name where names are known', () => {
  assert.equal(
    holders({ held_by: ['df', 'Out[7]'], reference_type: 'LOCAL_REFERENCE' }),
    'df, Out[7]'
  );
  assert.equal(holders({ held_by: [], reference_type: 'USED_BY_PENDING_TASK' }), 'queued tasks');
  assert.equal(holders({}), '');
});

test('what the handles of an actor hold is no value', () => {
  const row = { reference_type: 'ACTOR_HANDLE', state: '', object_size: 0, held_by: [] };
  const texts = OBJECT_COLUMNS.map(column => column.cell(row, 0).text);
  assert.deepEqual(texts.slice(1, 6), ['an actor', '', '', 'a handle', '']);
});

test('shapes, restarts, ids and states read as people say them', () => {
  assert.equal(
    shapeText({ value_dtype: 'float64', value_shape: [1000, 20] }),
    'float64 1,000 × 20'
  );
  assert.equal(shapeText({}), '');
  assert.equal(restarts({ num_restarts: 1, max_restarts: 4 }), '1 of 4');
  assert.equal(restarts({ num_restarts: 0, max_restarts: -1 }), '0, any number');
  assert.equal(restarts({ num_restarts: 2 }), '2');
  const task = `${'0'.repeat(12)}2a1f${'9c'.repeat(16)}`;
  assert.equal(shortId(`${task}01000000`), '2a1f-9c9c');
  assert.equal(shortId(`${task}03000000`), '2a1f-9c9c.3');
  assert.equal(shortId(`${task}00000080`), '2a1f-9c9c');
  assert.equal(shortId('short'), 'short');
  assert.equal(stateCell('DEPENDENCIES_UNREADY').text, 'waits for its arguments');
  assert.equal(stateCell('SOMETHING_NEW').text, 'something new');
});

test('why an actor is dead is found in what Ray calls its cause', () => {
  const cause = { actor_died_error_context: { error_message: 'killed\u001b[31m by signal 9' } };
  assert.equal(deathOf({ death_cause: cause }), 'killed by signal 9');
  assert.equal(deathOf({ death_cause: null }), '');
});

test('resources say how much of them is used', () => {
  const row = { resources_total: { CPU: 8 }, resources_available: { CPU: 2.5 } };
  assert.deepEqual(resourceCell(row, 'CPU'), { text: '5.5 of 8', full: 5.5 / 8 });
  assert.equal(resourceCell(row, 'GPU').text, 'none');
  assert.equal(resourceCell({ resources_total: { CPU: 2 }, state: 'DEAD' }, 'CPU').full, 0);
});

test('no column fails on a row of which nothing is known', () => {
  for (const column of [...OBJECT_COLUMNS, ...ACTOR_COLUMNS, ...NODE_COLUMNS]) {
    assert.equal(typeof column.cell({}, Date.now()).text, 'string', column.title);
  }
});

test('escape sequences, control and bidi characters are taken out of text', () => {
  assert.equal(clean('\u001b[1;31mred\u001b[0m'), 'red');
  assert.equal(clean('\u001b]0;title\u0007shown'), 'shown');
  assert.equal(clean('a\u202egnp.exe\u2066b'), 'agnp.exeb');
  assert.equal(clean('tab\tline\r\nnext\u0000\u0008'), 'tab\tline\nnext');
  assert.equal(clean('\u009b31mx'), 'x');
});

test('a histogram is told in words', () => {
  const words = histogramWords({ counts: [1, 8, 1], low: -1.5, high: 1.5, left_out: 0 });
  assert.equal(words, 'Histogram of 10 values from -1.5 to 1.5; the most from -0.5 to 0.5');
  assert.equal(numeral(0.1 + 0.2), '0.3');
  assert.equal(numeral(1.23456789e40), '1.235e+40');
});

test('a preview begins with what it is', () => {
  const preview = {
    kind: 'array' as const,
    type: 'numpy.ndarray',
    bytes: 160_000,
    shape: [1000, 20],
    dtype: 'float64',
    columns: [],
    rows: [],
    at: [],
    offset: 0,
    total: 0,
    histogram: null,
    image: '',
    text: '',
    note: ''
  };
  assert.equal(headline(preview), 'numpy.ndarray float64 1,000 × 20, 160.0 kB');
});

function line(text: string, source = 'worker 1'): LogLine {
  return { source, text, node: '', error: false, at: 0 };
}

function log(next: string, ...lines: LogLine[]): LogPage {
  return { lines, next, sources: ['worker 1', 'worker 2'], left_out: 0, untimed: 0 };
}

test('a log goes on where it ended, and begins anew with another search', () => {
  const model = new LogModel();
  const first = model.query();
  assert.equal(first.query.after, '');
  assert.equal(model.take(log('17', line('a')), first.of).length, 1);
  assert.equal(model.query().query.after, '17');
  const late = model.query();
  model.ask({ search: ' b ' });
  assert.deepEqual(model.lines, []);
  assert.deepEqual(model.query().query, {
    search: 'b',
    source: '',
    task: '',
    after: '',
    since: null,
    until: null
  });
  assert.deepEqual(model.take(log('18', line('c')), late.of), []);
  assert.equal(model.loaded, false);
});

test('a log of one process has its lines only, whatever the server sends', () => {
  const model = new LogModel();
  model.ask({ source: 'worker 2' });
  model.take(log('1', line('a'), line('b', 'worker 2')), model.query().of);
  assert.deepEqual(
    model.lines.map(each => each.text),
    ['b']
  );
});

test('a log keeps its newest lines, and says how many it let go', () => {
  const model = new LogModel();
  const lines = Array.from({ length: LINES_MAX + 5 }, (_, i) => line(String(i)));
  model.take(log('1', ...lines), model.query().of);
  assert.equal(model.lines.length, LINES_MAX);
  assert.equal(model.lines[0].text, '5');
  assert.equal(model.leftOut, 5);
});
