/** Draws a `raynb.widgets.progress`: a bar for each function, and the failures with their tracebacks. */
import { announce, fit, make, setAttributes, setText } from './dom';
import { count } from './format';
import { follow, type Place } from './host';
import {
  countsInWords,
  rowsOf,
  settled,
  summary,
  timeLeft,
  total,
  WORDS,
  type Counts,
  type State
} from './progress_words';

interface Failure {
  name: string;
  error: string;
  text: string;
}

interface Shared {
  state: State;
  failures: Failure[];
}

const HAND_OVER_MS = 50;
const HAND_OVER_TRIES = 10;

let numbers = 0;

function render({ model, el }: Place<Shared>): () => void {
  const word = make('strong', 'raynb-word');
  const says = make('span');
  const left = make('span', 'raynb-end');
  const rows = make('div', 'raynb-rows');
  const failures = make('div', 'raynb-failures', { role: 'group', 'aria-label': 'Failures' });
  const more = make('div', 'raynb-more');
  const root = make('div', 'raynb-card raynb-progress', {
    role: 'group',
    'aria-label': 'Progress of tasks'
  });
  root.append(make('div', 'raynb-head', {}, word, says, left), rows, failures, more);
  el.append(root);

  const bars: Bar[] = [];
  const lines: FailureLine[] = [];
  let lastStatus = model.get('state').status;

  // Noted as it comes and goes: when this is taken off the page it has no focus any more.
  let focused: string | undefined;
  root.addEventListener('focusin', event => {
    focused = lines.find(line => line.root.contains(event.target as Node))?.label;
  });
  root.addEventListener('focusout', () => {
    setTimeout(() => {
      if (root.isConnected && !root.contains(document.activeElement)) {
        focused = undefined;
      }
    });
  });

  const stop = follow(model, ['state', 'failures'], () => {
    const state = model.get('state');
    root.dataset['status'] = state.status;
    setText(word, WORDS[state.status]);
    setText(says, summary(state));
    setText(left, timeLeft(state));
    const wanted = rowsOf(state);
    fit(bars, wanted.length, rows, () => new Bar());
    wanted.forEach((row, index) => {
      bars[index]?.update(row.name, row.counts);
    });
    const failed = model.get('failures');
    fit(lines, failed.length, failures, () => new FailureLine());
    failed.forEach((failure, index) => {
      lines[index]?.update(failure, state.failed[index] ?? 1);
    });
    failures.hidden = failed.length === 0;
    setText(more, `and ${count(state.failed_more)} more failures`);
    more.hidden = state.failed_more === 0;
    if (state.status !== lastStatus && state.status !== 'running') {
      announce(`${WORDS[state.status]}: ${summary(state)}, ${count(state.total.failed)} failed`);
    }
    lastStatus = state.status;
  });
  return () => {
    stop();
    handOver(root, lines, focused);
  };
}

/** The picture that takes this one's place has open what was open here, and the focus where it was. */
function handOver(root: HTMLElement, lines: FailureLine[], focused: string | undefined): void {
  const place = root.closest('.jp-OutputArea, .output') ?? document.body;
  const opened = new Set(lines.filter(line => line.isOpen).map(line => line.label));
  if (opened.size === 0 && focused === undefined) {
    return;
  }
  const search = (triesLeft: number): void => {
    const pictures = [...place.querySelectorAll<HTMLDetailsElement>('details.raynb-failure')];
    if (pictures.length === 0 && triesLeft > 0) {
      setTimeout(search, HAND_OVER_MS, triesLeft - 1);
    }
    for (const picture of pictures) {
      const summary = picture.querySelector('summary');
      const label = summary?.textContent ?? '';
      picture.open ||= opened.has(label);
      if (label === focused) {
        summary?.focus();
      }
    }
  };
  setTimeout(search, HAND_OVER_MS, HAND_OVER_TRIES);
}

/** A function's name, bar and counts. */
class Bar {
  readonly root = make('div', 'raynb-row');
  private readonly name = make('span', 'raynb-name');
  private readonly track = make('span', 'raynb-track', { role: 'progressbar', 'aria-valuemin': 0 });
  private readonly parts = {
    done: make('span', 'raynb-part raynb-done'),
    failed: make('span', 'raynb-part raynb-failed'),
    running: make('span', 'raynb-part raynb-running')
  };
  private readonly count = make('span', 'raynb-count');

  constructor() {
    this.track.append(...Object.values(this.parts));
    this.root.append(this.name, this.track, this.count);
  }

  update(name: string, counts: Counts): void {
    const all = total(counts);
    setText(this.name, name);
    this.name.title = name;
    for (const kind of ['done', 'failed', 'running'] as const) {
      this.parts[kind].style.width = `${String(all ? (100 * counts[kind]) / all : 0)}%`;
    }
    const words = countsInWords(counts);
    setText(this.count, words);
    setAttributes(this.track, {
      'aria-label': name,
      'aria-valuemax': all,
      'aria-valuenow': settled(counts),
      'aria-valuetext': words
    });
  }
}

/** A button that says what failed; it opens and closes the traceback. */
class FailureLine {
  readonly root = make('div', 'raynb-failure');
  private readonly text = make('pre', '', {
    id: `raynb-traceback-${String(++numbers)}`,
    tabindex: 0
  });
  private readonly button = make('button', '', {
    type: 'button',
    'aria-expanded': false,
    'aria-controls': this.text.id
  });

  constructor() {
    this.text.hidden = true;
    this.button.addEventListener('click', () => {
      this.text.hidden = !this.text.hidden;
      setAttributes(this.button, { 'aria-expanded': !this.text.hidden });
    });
    this.root.append(this.button, this.text);
  }

  get isOpen(): boolean {
    return !this.root.hidden && !this.text.hidden;
  }

  /** What the button says. */
  get label(): string {
    return this.button.textContent;
  }

  update(failure: Failure, howOften: number): void {
    const times = howOften > 1 ? ` (×${count(howOften)})` : '';
    setText(this.button, `${failure.name}: ${failure.error}${times}`);
    setText(this.text, failure.text);
    setAttributes(this.text, { 'aria-label': `Traceback of ${failure.name}` });
  }
}

export default { render };
