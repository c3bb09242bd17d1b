/** What a progress says, in words: pure, as `raynb.widgets.progress_page` has it for the picture. */
import { amount, count, duration } from './format';

export interface Counts {
  done: number;
  failed: number;
  running: number;
  waiting: number;
}

export interface State {
  status: 'running' | 'done' | 'failed' | 'stopped';
  bars: (Counts & { name: string })[];
  others: (Counts & { functions: number }) | null;
  total: Counts;
  elapsed_s: number;
  rate: number | null;
  eta_s: number | null;
  /** How often each kind of failure happened, in the order of the failures; and the rest. */
  failed: number[];
  failed_more: number;
}

export const WORDS = {
  running: 'Running',
  done: 'Done',
  failed: 'Done, with failures',
  stopped: 'Stopped waiting'
} as const;

export function settled(counts: Counts): number {
  return counts.done + counts.failed;
}

export function total(counts: Counts): number {
  return settled(counts) + counts.running + counts.waiting;
}

/** `30 of 60, 2 failed, 4 running` */
export function countsInWords(counts: Counts): string {
  const parts = [`${count(counts.done)} of ${count(total(counts))}`];
  if (counts.failed) {
    parts.push(`${count(counts.failed)} failed`);
  }
  if (counts.running) {
    parts.push(`${count(counts.running)} running`);
  }
  return parts.join(', ');
}

/** What stands beside the word: `37 of 100 in 4.2 s, 12/s` */
export function summary(state: State): string {
  const all = `${count(settled(state.total))} of ${count(total(state.total))} in ${duration(state.elapsed_s)}`;
  return state.rate ? `${all}, ${amount(state.rate)}/s` : all;
}

export function timeLeft(state: State): string {
  return state.status === 'running' && state.eta_s !== null
    ? `about ${duration(state.eta_s)} left`
    : '';
}

/** The bars, and the sum of the functions that have none. */
export function rowsOf({ bars, others }: State): { name: string; counts: Counts }[] {
  const rows = bars.map((counts): { name: string; counts: Counts } => ({
    name: counts.name,
    counts
  }));
  return others
    ? [...rows, { name: `${count(others.functions)} more functions`, counts: others }]
    : rows;
}
