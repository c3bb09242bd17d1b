/** The pure parts of the widgets: what they say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gauges, isMeasured, tasksInWords, wholeNumber } from '../src/widgets/cluster_words';
import { amount, count, duration, part, size } from '../src/widgets/format';
import { countsInWords, rowsOf, summary, timeLeft } from '../src/widgets/progress_words';

const total = { done: 30, failed: 2, running: 4, waiting: 24 };
const state = {
  status: 'running',
  bars: [{ ...total, name: 'f' }],
  others: null,
  total,
  elapsed_s: 4.2,
  rate: 7.6,
  eta_s: 61,
  failed: [2],
  failed_more: 0
};

test('numbers are short, and large ones have their thousands apart', () => {
  assert.equal(count(1234567), '1\u202f234\u202f567');
  assert.equal(count(999), '999');
  assert.equal(amount(2), '2');
  assert.equal(amount(2.54), '2.5');
  assert.equal(amount(25.4), '25');
});

test('durations go from tenths to hours', () => {
  assert.deepEqual([4.21, 42, 187, 7500].map(duration), ['4.2 s', '42 s', '3:07 min', '2:05 h']);
});

test('sizes are in powers of a thousand', () => {
  assert.deepEqual([0, 2048, 3 * 2 ** 20, 1.5 * 2 ** 30].map(size), [
    '0 B',
    '2.0 kB',
    '3.1 MB',
    '1.6 GB'
  ]);
});

test('a part of nothing is nothing, and no part is more than all', () => {
  assert.deepEqual([part(1, 0), part(3, 2), part(1, 4)], [0, 1, 0.25]);
});

test('a progress says how many have settled, how fast, and how long it will take', () => {
  assert.equal(countsInWords(total), '30 of 60, 2 failed, 4 running');
  assert.equal(summary(state), '32 of 60 in 4.2 s, 7.6/s');
  assert.equal(timeLeft(state), 'about 1:01 min left');
  assert.equal(timeLeft({ ...state, status: 'done' }), '');
  assert.equal(timeLeft({ ...state, eta_s: null }), '');
});

test('functions without a bar of their own share one', () => {
  const rows = rowsOf({ ...state, others: { ...total, functions: 1500 } });
  assert.deepEqual(
    rows.map(row => row.name),
    ['f', '1\u202f500 more functions']
  );
});

test('a cluster that has not answered has no gauges, one that has shows what it uses', () => {
  const known = { kind: 'own', name: 'x', place: '', up_s: 1, error: '' };
  assert.equal(isMeasured(known), false);
  const sums = {
    cpus: { used: 1.5, total: 2 },
    cpu_percent: 37.4,
    memory: { used_bytes: 2 ** 30, total_bytes: 4 * 2 ** 30 },
    store: { used_bytes: 0, capacity_bytes: 0, objects: 0 },
    tasks: { running: 1, waiting: 2, finished: 3, failed: 0 }
  };
  assert.equal(isMeasured({ ...known, ...sums }), true);
  assert.deepEqual(
    gauges(sums).map(gauge => [gauge.used, gauge.words]),
    [
      [0.75, '1.5 of 2 in use'],
      [0.374, '37 % busy'],
      [0.25, '1.1 GB of 4.3 GB'],
      [0, '0 B of 0 B, 0 objects']
    ]
  );
  assert.equal(tasksInWords(sums), '1 running, 2 waiting, 3 done');
});

test('only whole numbers from 1 on are numbers of CPUs', () => {
  assert.deepEqual(['3', ' 4 ', '', '0', '-1', '1.5', 'x', '1e2'].map(wholeNumber), [
    3,
    4,
    null,
    null,
    null,
    null,
    null,
    100
  ]);
});
