/** Draws a `raynb.widgets.Cluster`: what a cluster has and does, and the buttons. */
import {
  actorsInWords,
  gauges,
  isMeasured,
  subtitle,
  tasksInWords,
  title,
  type Facts,
  type Gauge
} from './cluster_words';
import { Tools, type Control, type Wish } from './cluster_tools';
import { fit, make, setAttributes, setText } from './dom';
import { follow, type Place } from './host';

interface Shared {
  facts: Facts;
  control: Control;
}

/** After so long without a word from the kernel the person is told what it waits for. */
const SILENT_MS = 1500;

let numbers = 0;

function render({ model, el }: Place<Shared>): () => void {
  const name = make('strong', 'raynb-word');
  const about = make('span');
  const rows = make('div', 'raynb-rows');
  const message = make('p', 'raynb-message', { role: 'status' });
  const root = make('div', 'raynb-card raynb-cluster', { role: 'group', 'aria-label': 'Cluster' });
  const lines: Line[] = [];
  let pending = '';
  let silent = false;
  let timer = 0;

  const tools = new Tools((wish: Wish) => {
    pending = `${String(Date.now())}-${String(++numbers)}`;
    silent = false;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      silent = true;
      draw();
    }, SILENT_MS);
    model.send({ ...wish, id: pending });
    draw();
  });
  root.append(make('div', 'raynb-head', {}, name, about), rows, tools.root, message);
  el.append(root);

  function draw(): void {
    const facts = model.get('facts');
    const control = model.get('control');
    if (control.answered === pending || control.busy) {
      window.clearTimeout(timer);
      silent = false;
    }
    if (control.answered === pending) {
      pending = '';
    }
    setText(name, title(facts));
    setText(about, subtitle(facts));
    const wanted = linesOf(facts);
    fit(lines, wanted.length, rows, () => new Line());
    wanted.forEach((line, index) => {
      lines[index]?.update(line);
    });
    rows.hidden = wanted.length === 0;
    const isBusy = pending !== '' || control.busy !== '';
    setAttributes(root, { 'aria-busy': isBusy });
    tools.update(facts, control, isBusy);
    const waits = silent
      ? 'The kernel is busy: this is done when the cell that runs has ended.'
      : '';
    setText(message, control.busy || waits || (isBusy ? '' : control.message) || facts.error);
    message.dataset['failed'] = String(!isBusy && (control.failed || facts.error !== ''));
  }

  const stop = follow(model, ['facts', 'control'], draw);
  return () => {
    window.clearTimeout(timer);
    stop();
  };
}

type Row = Omit<Gauge, 'used'> & { used: number | null };

function linesOf(facts: Facts): Row[] {
  if (!isMeasured(facts)) {
    return [];
  }
  return [
    ...gauges(facts),
    { name: 'Tasks', used: null, words: tasksInWords(facts) },
    { name: 'Actors', used: null, words: actorsInWords(facts) }
  ];
}

/** A name, a bar where there is something to measure, and words. */
class Line {
  readonly root = make('div', 'raynb-row');
  private readonly name = make('span', 'raynb-name');
  private readonly track = make('span', 'raynb-track', {
    role: 'meter',
    'aria-valuemin': 0,
    'aria-valuemax': 100
  });
  private readonly part = make('span', 'raynb-part raynb-done');
  private readonly words = make('span', 'raynb-count');

  constructor() {
    this.track.append(this.part);
    this.root.append(this.name, this.track, this.words);
  }

  update({ name, used, words }: Row): void {
    setText(this.name, name);
    setText(this.words, words);
    this.root.classList.toggle('raynb-plain', used === null);
    this.track.hidden = used === null;
    if (used !== null) {
      this.part.style.width = `${String(100 * used)}%`;
      setAttributes(this.track, {
        'aria-label': name,
        'aria-valuenow': Math.round(100 * used),
        'aria-valuetext': words
      });
    }
  }
}

export default { render };
