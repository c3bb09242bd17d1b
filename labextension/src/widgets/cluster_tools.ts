/** The buttons of a cluster's card, and what they ask for. */
import { wholeNumber, type Facts } from './cluster_words';
import { make, setAttributes, setText } from './dom';
import { duration } from './format';

export interface Control {
  /** What is being done, in words. */
  busy: string;
  message: string;
  failed: boolean;
  adaptive: { minimum: number; maximum: number } | null;
  clusters: { id: string; name: string; pid: number; up_s: number }[];
  answered: string;
}

export type Wish =
  | { do: 'start'; num_cpus: number | null }
  | { do: 'stop' | 'leave' }
  | { do: 'attach'; cluster: string }
  | { do: 'scale'; num_cpus: number }
  | { do: 'adapt'; minimum: number | null; maximum: number | null };

export class Tools {
  readonly root = make('div', 'raynb-tools');

  private readonly start = button('Start', () => {
    this.ask({ do: 'start', num_cpus: wholeNumber(this.startCpus.value) });
  });
  private readonly startCpus = field('CPUs of the new cluster', { placeholder: 'all' });
  private readonly starting = group(this.start, 'with', this.startCpus, 'CPUs');

  private readonly list = make('select', '', { 'aria-label': 'Running clusters' });
  private readonly attach = button('Attach', () => {
    this.ask({ do: 'attach', cluster: this.list.value });
  });
  private readonly attaching = group(this.list, this.attach);

  private readonly cpus = field('CPUs');
  private readonly scale = button('Scale', () => {
    const wanted = this.read(this.cpus);
    if (wanted !== null) {
      this.cpus.dataset['offer'] = this.cpus.value; // from now on it follows what is true again
      this.ask({ do: 'scale', num_cpus: wanted });
    }
  });
  private readonly scaling = group('CPUs', this.cpus, this.scale);

  private readonly minimum = field('Fewest CPUs');
  private readonly maximum = field('Most CPUs');
  private readonly adapt = button('Adapt', () => {
    this.toggleAdapting();
  });
  private readonly adapting = group('or adapt, from', this.minimum, 'to', this.maximum, this.adapt);

  private readonly leave = button('Disconnect', () => {
    this.ask({ do: 'leave' });
  });
  private readonly stop = button('Stop…', () => {
    this.confirm(true);
  });
  private readonly ending = group(this.leave, this.stop);

  private readonly question = make('span', 'raynb-ask');
  private readonly really = button('Stop it', () => {
    this.confirm(false);
    this.ask({ do: 'stop' });
  });
  private readonly keep = button('Keep it', () => {
    this.confirm(false);
  });
  private readonly confirming = group(this.question, this.really, this.keep);

  private facts: Facts | null = null;
  private adaptive: Control['adaptive'] = null;
  private isAsking = false;
  private isBusy = false;

  /** @param wish - told what the person wants, but not while something is under way. */
  constructor(private readonly wish: (wish: Wish) => void) {
    this.ending.classList.add('raynb-end');
    this.really.classList.add('raynb-danger');
    this.root.append(
      this.starting,
      this.attaching,
      this.scaling,
      this.adapting,
      this.ending,
      this.confirming
    );
    this.confirming.addEventListener('keydown', event => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        this.confirm(false);
      }
    });
    for (const [input, press] of [
      [this.startCpus, this.start],
      [this.cpus, this.scale],
      [this.minimum, this.adapt],
      [this.maximum, this.adapt]
    ] as const) {
      input.addEventListener('keydown', event => {
        event.stopPropagation(); // a notebook has commands on single keys
        if (event.key === 'Enter') {
          press.click();
        }
      });
    }
  }

  update(facts: Facts, control: Control, isBusy: boolean): void {
    this.facts = facts;
    this.adaptive = control.adaptive;
    this.isBusy = isBusy;
    if (facts.kind === 'none') {
      this.isAsking = false;
    }
    this.fillList(control.clusters);
    this.fillNumbers(facts);
    setText(this.adapt, control.adaptive ? 'Stop adapting' : 'Adapt');
    this.show();
  }

  private show(): void {
    const isThere = this.facts !== null && this.facts.kind !== 'none';
    const isOwn = this.facts?.kind === 'own';
    this.starting.hidden = isThere;
    this.attaching.hidden = isThere || this.list.options.length === 0;
    this.scaling.hidden = this.adapting.hidden = this.ending.hidden = !isThere || this.isAsking;
    this.confirming.hidden = !this.isAsking;
    this.leave.hidden = isOwn;
    const others = isOwn ? '' : ' for everybody';
    setText(this.question, `Stop the cluster${others}? What it runs and holds is lost.`);
    this.minimum.disabled = this.maximum.disabled = this.adaptive !== null;
    for (const each of this.root.querySelectorAll('button')) {
      // Not `disabled`: that would take the focus from the button that was pressed.
      setAttributes(each, { 'aria-disabled': this.isBusy });
    }
  }

  private ask(wish: Wish): void {
    if (!this.isBusy) {
      this.wish(wish);
    }
  }

  private confirm(isAsking: boolean): void {
    if (this.isBusy && isAsking) {
      return;
    }
    this.isAsking = isAsking;
    this.show();
    (isAsking ? this.keep : this.stop).focus();
  }

  private toggleAdapting(): void {
    if (this.adaptive) {
      this.ask({ do: 'adapt', minimum: null, maximum: null });
      return;
    }
    const minimum = this.read(this.minimum);
    const maximum = this.read(this.maximum);
    if (minimum !== null && maximum !== null) {
      this.ask({ do: 'adapt', minimum, maximum });
    }
  }

  /** What stands in a field; where that is no whole number the field is marked, and has the focus. */
  private read(input: HTMLInputElement): number | null {
    const value = wholeNumber(input.value);
    setAttributes(input, { 'aria-invalid': value === null });
    if (value === null) {
      input.focus();
    }
    return value;
  }

  private fillList(clusters: Control['clusters']): void {
    const known = [...this.list.options].map(option => option.value);
    if (known.join() === clusters.map(cluster => cluster.id).join()) {
      return;
    }
    this.list.replaceChildren(
      ...clusters.map(({ id, name, pid, up_s }) =>
        make('option', '', { value: id }, `${name} (pid ${String(pid)}, up ${duration(up_s)})`)
      )
    );
  }

  /** What is true stands in the fields, until somebody types. */
  private fillNumbers(facts: Facts): void {
    const there = facts.cpus ? Math.floor(facts.cpus.total) : 0;
    const offers = [
      [this.cpus, there],
      [this.minimum, this.adaptive?.minimum ?? 1],
      [this.maximum, this.adaptive?.maximum ?? Math.max(1, there)]
    ] as const;
    for (const [input, offer] of offers) {
      const isUntouched = input.value === (input.dataset['offer'] ?? '');
      const isOffered = offer > 0 && isUntouched && document.activeElement !== input;
      if (isOffered && input.dataset['offer'] !== String(offer)) {
        input.value = input.dataset['offer'] = String(offer);
      }
    }
  }
}

function button(text: string, onClick: () => void): HTMLButtonElement {
  const made = make('button', '', { type: 'button' }, text);
  made.addEventListener('click', onClick);
  return made;
}

function field(label: string, attributes: Record<string, string> = {}): HTMLInputElement {
  return make('input', '', { type: 'number', min: 1, step: 1, 'aria-label': label, ...attributes });
}

function group(...children: (Node | string)[]): HTMLElement {
  return make('div', 'raynb-group', {}, ...children);
}
