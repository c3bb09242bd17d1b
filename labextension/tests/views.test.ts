import assert from 'node:assert/strict';
import test from 'node:test';
import type { SummaryState, ViewState } from '../src/generated/screen';
import { SCREEN_PROTOCOL } from '../src/generated/screen';
import { ViewsSocket, type Status } from '../src/views';

/** The server's end of a websocket, in the same process. */
class FakeSocket {
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  sent: Record<string, unknown>[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(): void {
    this.closed = true;
    this.onclose?.();
  }

  tell(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

/** A socket whose frames and waits happen when the test says so. */
class Bench {
  sockets: FakeSocket[] = [];
  frames: (() => void)[] = [];
  waits: { work: () => void; ms: number }[] = [];
  told: [ViewState, boolean][] = [];
  refusals: string[] = [];
  settled = 0;
  readonly views = new ViewsSocket({
    open: () => {
      this.sockets.push(new FakeSocket());
      return this.sockets[this.sockets.length - 1] as unknown as WebSocket;
    },
    frame: work => this.frames.push(work),
    later: (work, ms) => this.waits.push({ work, ms })
  });

  get server(): FakeSocket {
    return this.sockets[this.sockets.length - 1];
  }

  welcome(protocol = SCREEN_PROTOCOL): void {
    this.server.tell({ type: 'welcome', protocol, raynb_version: '1.2.3', cluster: 'c' });
  }

  subscribe(view: 'summary' | 'graph' = 'summary'): number {
    return this.views.subscribe(
      { view },
      {
        told: (state, fresh) => this.told.push([state, fresh]),
        settled: () => (this.settled += 1),
        refused: error => this.refusals.push(error)
      }
    ).id;
  }

  frame(): void {
    for (const work of this.frames.splice(0)) {
      work();
    }
  }

  wait(): number {
    const [first] = this.waits.splice(0);
    first.work();
    return first.ms;
  }

  asked(): unknown[] {
    return this.server.sent
      .filter(message => message.type === 'subscribe')
      .map(message => message.id);
  }
}

function summary(running: number): SummaryState {
  return { view: 'summary', tasks_running: running } as SummaryState;
}

function graphState(id: string): object {
  return { view: 'graph', nodes: [{ id }], edges: [] };
}

test('subscriptions wait for the welcome, and states for a frame', () => {
  const bench = new Bench();
  const id = bench.subscribe();
  assert.deepEqual(bench.server.sent, []);
  bench.welcome();
  assert.deepEqual(bench.asked(), [id]);
  bench.server.tell({ type: 'snapshot', id, state: summary(1) });
  assert.equal(bench.told.length, 0);
  bench.frame();
  assert.deepEqual(bench.told, [[summary(1), true]]);
});

test('of whole states only the newest is shown in a frame; of changes each', () => {
  const bench = new Bench();
  bench.welcome();
  const whole = bench.subscribe('summary');
  const changes = bench.subscribe('graph');
  bench.server.tell({ type: 'snapshot', id: whole, state: summary(0) });
  bench.server.tell({ type: 'snapshot', id: changes, state: graphState('a') });
  bench.frame();
  bench.told = [];
  bench.settled = 0;
  for (const seq of [1, 2, 3]) {
    bench.server.tell({ type: 'delta', id: whole, seq, state: summary(seq) });
    bench.server.tell({ type: 'delta', id: changes, seq, state: graphState(`n${seq}`) });
  }
  assert.equal(bench.frames.length, 1);
  bench.frame();
  assert.equal(bench.told.filter(([state]) => state.view === 'summary').length, 1);
  assert.equal(bench.told.filter(([state]) => state.view === 'graph').length, 3);
  assert.equal(bench.settled, 2);
});

test('after a gap it subscribes again, and takes nothing until the snapshot', () => {
  const bench = new Bench();
  bench.welcome();
  const id = bench.subscribe('graph');
  bench.server.tell({ type: 'snapshot', id, state: graphState('a') });
  bench.server.tell({ type: 'delta', id, seq: 1, state: graphState('b') });
  bench.server.tell({ type: 'delta', id, seq: 3, state: graphState('lost one') });
  assert.deepEqual(bench.asked(), [id, id]);
  bench.server.tell({ type: 'delta', id, seq: 4, state: graphState('too late') });
  assert.deepEqual(bench.asked(), [id, id], 'once is enough');
  bench.server.tell({ type: 'snapshot', id, state: graphState('c') });
  bench.server.tell({ type: 'delta', id, seq: 1, state: graphState('d') });
  bench.frame();
  const ids = bench.told.map(([state]) => (state as { nodes: { id: string }[] }).nodes[0].id);
  assert.deepEqual(ids, ['c', 'd']);
});

test('a hidden tab, which has no frames, keeps a bounded number of changes', () => {
  const bench = new Bench();
  bench.welcome();
  const id = bench.subscribe('graph');
  bench.server.tell({ type: 'snapshot', id, state: graphState('a') });
  for (let seq = 1; seq <= 1000; seq++) {
    bench.server.tell({ type: 'delta', id, seq, state: graphState(`n${seq}`) });
  }
  bench.frame();
  assert.ok(bench.told.length <= 64);
  assert.deepEqual(bench.asked(), [id, id]);
});

test('a lost connection is made again, later each time, with all subscriptions', () => {
  const bench = new Bench();
  const statuses: Status['kind'][] = [];
  bench.views.statusChanged.connect((_, status) => statuses.push(status.kind));
  bench.welcome();
  const id = bench.subscribe();
  bench.server.close();
  const first = bench.wait();
  bench.server.close();
  const second = bench.wait();
  assert.ok(second > first, `${second} ms is not later than ${first} ms`);
  bench.welcome();
  assert.deepEqual(bench.asked(), [id]);
  assert.equal(bench.views.status.kind, 'live');
  assert.ok(statuses.includes('lost'));
});

test('a server of another protocol is left alone', () => {
  const bench = new Bench();
  bench.subscribe();
  bench.welcome(SCREEN_PROTOCOL + 1);
  assert.deepEqual(bench.views.status, {
    kind: 'mismatch',
    protocol: SCREEN_PROTOCOL + 1,
    version: '1.2.3'
  });
  assert.ok(bench.server.closed);
  assert.equal(bench.waits.length, 0);
  assert.deepEqual(bench.server.sent, []);
});

test('what was to be done is done, refused with a reason, or lost aloud', async () => {
  const bench = new Bench();
  await assert.rejects(bench.views.act('cancel', 't'), /not connected/);
  bench.welcome();
  const last = (): unknown => bench.server.sent[bench.server.sent.length - 1].id;
  const done = bench.views.act('cancel', 't1');
  bench.server.tell({ type: 'done', id: last(), error: '' });
  await done;
  const failed = bench.views.act('retry', 't2');
  bench.server.tell({ type: 'done', id: last(), error: 'its owner is gone' });
  await assert.rejects(failed, /its owner is gone/);
  const lost = bench.views.act('free', 'o');
  bench.server.close();
  await assert.rejects(lost, /lost before it answered/);
});

test('a refused subscription tells its subscriber, and what was let go is not told', () => {
  const bench = new Bench();
  bench.welcome();
  const id = bench.subscribe();
  bench.server.tell({ type: 'refused', id, error: 'no such view' });
  assert.deepEqual(bench.refusals, ['no such view']);
  bench.server.tell({ type: 'snapshot', id, state: summary(1) });
  bench.views.unsubscribe(id);
  bench.frame();
  assert.deepEqual(bench.told, []);
  assert.equal(bench.server.sent[bench.server.sent.length - 1].type, 'unsubscribe');
});

test('what was asked before something else was looked at is not taken for it', () => {
  const bench = new Bench();
  bench.welcome();
  const before = bench.subscribe('graph');
  const after = bench.views.replace(before, { view: 'graph', by: 'cell' });
  bench.server.tell({ type: 'snapshot', id: before, state: graphState('a function') });
  bench.server.tell({ type: 'snapshot', id: after, state: graphState('a cell') });
  bench.frame();
  assert.deepEqual(
    bench.told.map(([state]) => state),
    [graphState('a cell')]
  );
  assert.deepEqual(
    bench.server.sent.map(message => [message.type, message.id]),
    [
      ['subscribe', before],
      ['unsubscribe', before],
      ['subscribe', after]
    ]
  );
});
