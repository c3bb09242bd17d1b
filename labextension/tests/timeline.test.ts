import assert from 'node:assert/strict';
import test from 'node:test';
import { NAME_COLORS } from '../src/dom/theme';
import type { Lane, Spans, StoreSpans, TimelineState } from '../src/generated/screen';
import { Selection } from '../src/model/selection';
import { TimelineModel } from '../src/model/timeline';
import { inkOn, NameColors } from '../src/timeline/colors';
import { AXIS_HEIGHT, Lanes } from '../src/timeline/lanes';
import { describeSpan } from '../src/timeline/list';
import { storeFacts, storeText } from '../src/timeline/stores';
import {
  moved,
  revealing,
  since,
  ticks,
  wanted,
  whole,
  width,
  within,
  zoomed
} from '../src/timeline/window';

const NO_STORE: StoreSpans = {
  lane: [],
  start: [],
  duration_ms: [],
  kind: [],
  state: [],
  count: [],
  size: [],
  object: [],
  who: [],
  other: []
};

type Given = [lane: number, start: number, ms: number, name?: number, state?: number];

function lane(id: string, kind = 'worker'): Lane {
  return { id, label: `lane ${id}`, kind, node: '', alive: true };
}

function state(given: Given[], lanes = ['a', 'b', 'c']): TimelineState {
  const spans: Spans = {
    lane: given.map(each => each[0]),
    start: given.map(each => each[1]),
    duration_ms: given.map(each => each[2]),
    name: given.map(each => each[3] ?? 0),
    state: given.map(each => each[4] ?? 4),
    count: given.map(() => 1),
    task: given.map((_, i) => `t${i}`)
  };
  return {
    view: 'timeline',
    start: 0,
    end: 100,
    first: 0,
    last: 100,
    lanes: lanes.map(id => lane(id)),
    names: ['f', 'g'],
    spans,
    store: NO_STORE,
    waiting: [],
    left_out: 0,
    store_dropped: 0
  };
}

function model(...given: Given[]): TimelineModel {
  const found = new TimelineModel();
  found.apply(state(given));
  return found;
}

test('a span is found by its lane and a moment of it', () => {
  const found = model([0, 0, 10], [0, 20, 10], [1, 5, 50]);
  assert.equal(found.at(0, 5), 0);
  assert.equal(found.at(0, 15), -1);
  assert.equal(found.at(0, 15, 6), 1);
  assert.equal(found.at(0, 29.9), 1);
  assert.equal(found.at(1, 29.9), 2);
  assert.equal(found.at(2, 5), -1);
  assert.equal(found.at(-1, 5), -1);
  assert.equal(found.at(3, 5), -1);
});

test('a long span is found under the many short ones that began after it', () => {
  const short = Array.from({ length: 100 }, (_, i): Given => [0, 1 + i * 0.5, 0.2]);
  const found = model([0, 0, 100], ...short);
  assert.equal(found.at(0, 99), 0);
  assert.deepEqual(found.rows, [2, 1, 1]);
});

test('what overlaps in a lane stands in rows of its own', () => {
  const found = model([0, 0, 10], [0, 5, 10], [0, 12, 2], [1, 0, 1]);
  assert.deepEqual(found.row, [0, 1, 0, 0]);
  assert.deepEqual(found.rows, [2, 1, 1]);
  assert.equal(found.at(0, 7, 0, 1), 1);
  assert.equal(found.at(0, 7, 0, 0), 0);
});

test('neighbours stay in their lane, and lanes without spans are stepped over', () => {
  const found = model([0, 0, 10], [0, 20, 10], [2, 22, 2]);
  assert.equal(found.beside(0, 1), 1);
  assert.equal(found.beside(1, 1), 1);
  assert.equal(found.beside(0, -1), 0);
  assert.equal(found.across(1, 1), 2);
  assert.equal(found.across(2, -1), 1);
  assert.equal(found.across(2, 1), 2);
});

test('a selected span is found again when the window was told anew', () => {
  const found = model([0, 0, 10], [1, 20, 10]);
  assert.equal(found.find('t1', 'b'), 1);
  assert.equal(found.find('t1', 'a'), -1);
  assert.equal(found.find('', 'b'), -1);
  assert.equal(found.find('t1', 'gone'), -1);
});

test('shares are what each function did between two moments, the busiest first', () => {
  const found = model([0, 0, 10, 0], [0, 20, 10, 1, 5], [1, 5, 2, 0]);
  assert.deepEqual(found.shares(5, 30), [
    { name: 'g', count: 1, failed: 1, busyMs: 10 },
    { name: 'f', count: 2, failed: 0, busyMs: 7 }
  ]);
  assert.deepEqual(found.shares(11, 19), []);
});

test('a cleared model is empty', () => {
  const found = model([0, 0, 10]);
  found.clear();
  assert.equal(found.size, 0);
  assert.equal(found.loaded, false);
  assert.equal(found.at(0, 0), -1);
});

test('zooming keeps what is under the pointer where it is, and stays within the run', () => {
  const run = whole(0, 1000);
  const near = zoomed(run, 2, 250, run);
  assert.deepEqual(near, { start: 125, end: 625 });
  assert.deepEqual(zoomed(near, 0.1, 250, run), run);
  assert.ok(Math.abs(width(zoomed(run, 1e12, 5, run)) - 0.5) < 1e-9);
});

test('moving stops at the ends of the run', () => {
  const run = whole(0, 1000);
  assert.deepEqual(moved({ start: 100, end: 300 }, -500, run), { start: 0, end: 200 });
  assert.deepEqual(moved({ start: 100, end: 300 }, 5000, run), { start: 800, end: 1000 });
  assert.deepEqual(within({ start: -50, end: 5000 }, run), run);
});

test('revealing moves as little as it can, and widens for what is wider', () => {
  const run = whole(0, 1000);
  const seen = { start: 100, end: 200 };
  assert.equal(revealing(seen, { start: 120, end: 130 }, run), seen);
  assert.deepEqual(revealing(seen, { start: 50, end: 60 }, run), { start: 40, end: 140 });
  assert.deepEqual(revealing(seen, { start: 300, end: 600 }, run), { start: 270, end: 630 });
});

test('a run that has just begun has room for its first moments', () => {
  assert.equal(width(whole(500, 500)), 100);
});

test('the whole run is asked for as it is, and live', () => {
  const run = whole(10, 1010);
  assert.deepEqual(wanted(run, 800, run, true, null), {
    start: 10,
    end: 1010,
    buckets: 800,
    live: true
  });
});

test('what was asked for with a margin serves small moves, and not zooms', () => {
  const run = whole(0, 10_000);
  const seen = { start: 4000, end: 5000 };
  const asked = wanted(seen, 1000, run, false, null);
  assert.deepEqual(asked, { start: 3500, end: 5500, buckets: 2000, live: false });
  assert.equal(wanted({ start: 4300, end: 5300 }, 1000, run, false, asked), null);
  assert.ok(wanted({ start: 4800, end: 5800 }, 1000, run, false, asked));
  assert.ok(wanted({ start: 4400, end: 4600 }, 1000, run, false, asked));
  assert.ok(wanted(run, 1000, run, true, asked));
});

test('a run that is followed is asked for anew only when it has become coarse', () => {
  const asked = wanted(whole(0, 1000), 1000, whole(0, 1000), true, null);
  const later = whole(0, 60_000);
  assert.equal(wanted(later, 1000, later, true, asked), null);
  const tail = { start: 59_000, end: 60_000 };
  const next = wanted(tail, 1000, later, true, asked);
  assert.deepEqual(next, { start: 58_500, end: 60_000, buckets: 1500, live: true });
});

test('an axis has round moments since the start of the run', () => {
  const labels = ticks({ start: 5000, end: 15_000 }, 1000, 5000).map(tick => tick.label);
  assert.deepEqual(labels.slice(0, 3), ['0 s', '1 s', '2 s']);
  assert.equal(ticks({ start: 0, end: 1 }, 900, 0)[1].label, '0.1 ms');
  assert.equal(ticks({ start: 0, end: 600_000 }, 900, 0)[1].label, '1:00');
  assert.ok(ticks({ start: 0, end: 3e8 }, 900, 0).length <= 11);
});

test('times since the start are as exact as they need to be', () => {
  assert.equal(since(65_000, 1000), '1:05');
  assert.equal(since(65_250, 10), '1:05.25');
  assert.equal(since(3_725_000, 1000), '1:02:05');
  assert.equal(since(12_500, 100), '12.5 s');
  assert.equal(since(830, 10), '830 ms');
  assert.equal(since(0.25, 0.01), '0.25 ms');
  assert.equal(since(-2000, 1000), '−2 s');
});

test('a function has the same colour in every picture, and neighbours differ', () => {
  const names = Array.from({ length: NAME_COLORS.length }, (_, i) => `function_${i}`);
  const colors = new NameColors();
  const looks = names.map(name => colors.of(name));
  assert.equal(new Set(looks.map(look => look.color)).size, NAME_COLORS.length);
  assert.equal(new NameColors().of('embed').color, new NameColors().of('embed').color);
  const eleventh = colors.of('one_more');
  assert.equal(eleventh.round, 1);
  assert.equal(colors.of('one_more'), eleventh);
});

test('what is written on a colour can be read', () => {
  assert.equal(inkOn('#f0e442'), '#000000');
  assert.equal(inkOn('#0072b2'), '#ffffff');
});

test('lanes share the height, and scroll where it is too little', () => {
  const lanes = new Lanes();
  lanes.arrange([1, 2, 1], 400);
  assert.equal(lanes.rowHeight, 26);
  assert.ok(lanes.scrollMax === 0);
  const place = lanes.place(1, 1);
  assert.deepEqual(lanes.at(place.top + 3), { lane: 1, row: 1 });
  assert.equal(lanes.at(AXIS_HEIGHT - 1).lane, -1);
  lanes.arrange(Array<number>(100).fill(1), 200);
  lanes.reveal(99);
  assert.equal(lanes.at(lanes.place(99).top + 1).lane, 99);
  assert.ok(lanes.place(99).top + lanes.rowHeight <= 200);
  lanes.reveal(0);
  assert.equal(lanes.place(0).top, AXIS_HEIGHT + 5);
});

test('a span is told in words', () => {
  const found = model([0, 0, 10], [1, 2500, 1200, 1, 5]);
  assert.equal(
    describeSpan(found, 1),
    'g, failed, on lane b, 2.500 s after the start, took 1.20 s'
  );
});

test('a brush tells who listens, and is told once', () => {
  const selection = new Selection();
  const told: (string | undefined)[] = [];
  selection.brushChanged.connect((_, brush) => told.push(brush?.names.join()));
  selection.brush = { start: 0, end: 1, names: ['f', 'g'] };
  selection.brush = null;
  selection.brush = null;
  assert.deepEqual(told, ['f,g', undefined]);
});

test('what happens in a store stands in lanes below, and counts as no task', () => {
  const model = new TimelineModel();
  const given = state([[0, 10, 20]], ['a']);
  model.apply({
    ...given,
    lanes: [...given.lanes, lane('store:n:0', 'store'), lane('store:n:4', 'store')],
    store: {
      lane: [1, 1, 2],
      start: [5, 50, 60],
      duration_ms: [10, 20, 5],
      kind: [0, 0, 4],
      state: [4, 5, 4],
      count: [1, 1, 3],
      size: [32_000_000, 64, 3000],
      object: ['ab12', '', ''],
      who: ['worker w1 (pid 7)', 'the store stayed full', ''],
      other: ['', '', 'ffeeddccbbaa99']
    }
  });
  assert.deepEqual(model.from, [0, 1, 3, 4]);
  assert.deepEqual(
    [0, 1, 2, 3].map(i => model.isStore(i)),
    [false, true, true, true]
  );
  assert.deepEqual(
    [0, 1, 3].map(i => model.taskOf(i)),
    ['t0', '', '']
  );
  assert.deepEqual(model.shares(0, 100), [{ name: 'f', count: 1, failed: 0, busyMs: 20 }]);
  assert.equal(
    describeSpan(model, 1),
    'wait for room of 32.0 MB, by worker w1 (pid 7), 5 ms after the start, took 10 ms'
  );
  assert.equal(
    describeSpan(model, 2),
    'wait for room of 64 B, failed, the store stayed full, 50 ms after the start, took 20 ms'
  );
  assert.equal(
    describeSpan(model, 3),
    '3 transfers out of 3.0 kB, 60 ms after the start, within 5.0 ms'
  );
  assert.equal(storeText(model, 1), '32.0 MB');
  assert.deepEqual(storeFacts(model, 3), [
    ['bytes', '3.0 kB'],
    ['to node', 'ffeeddccbbaa']
  ]);
  assert.equal(model.find(model.spans.task[2], 'store:n:0'), 2);
});
