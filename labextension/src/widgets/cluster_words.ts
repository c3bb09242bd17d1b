/** What a cluster's card says, in words: pure, as `raynb.widgets.cluster_page` has it for the picture. */
import { amount, count, duration, part, size } from './format';

export interface Known {
  kind: 'none' | 'own' | 'attached';
  name: string;
  place: string;
  up_s: number;
  error: string;
}

export interface Sums {
  cpus: { used: number; total: number };
  cpu_percent: number;
  memory: { used_bytes: number; total_bytes: number };
  store: { used_bytes: number; capacity_bytes: number; objects: number };
  tasks: { running: number; waiting: number; finished: number; failed: number };
  actors: { alive: number; starting: number; restarting: number };
}

/** There are sums only of a cluster that has answered. */
export type Facts = Known & Partial<Sums>;

export function isMeasured(facts: Facts): facts is Known & Sums {
  return facts.cpus !== undefined;
}

export function title(facts: Known): string {
  return facts.kind === 'none' ? 'No cluster' : `Cluster ${facts.name}`;
}

export function subtitle(facts: Known): string {
  return facts.kind === 'none'
    ? 'The first remote call starts one.'
    : `up ${duration(facts.up_s)}, ${facts.place}`;
}

export interface Gauge {
  name: string;
  used: number;
  words: string;
}

export function gauges(sums: Sums): Gauge[] {
  const { cpus, memory, store } = sums;
  return [
    {
      name: 'CPU slots',
      used: part(cpus.used, cpus.total),
      words: `${amount(cpus.used)} of ${amount(cpus.total)} in use`
    },
    {
      name: 'CPU',
      used: part(sums.cpu_percent, 100),
      words: `${sums.cpu_percent.toFixed(0)} % busy`
    },
    {
      name: 'Memory',
      used: part(memory.used_bytes, memory.total_bytes),
      words: `${size(memory.used_bytes)} of ${size(memory.total_bytes)}`
    },
    {
      name: 'Object store',
      used: part(store.used_bytes, store.capacity_bytes),
      words: `${size(store.used_bytes)} of ${size(store.capacity_bytes)}, ${count(store.objects)} objects`
    }
  ];
}

export function tasksInWords({ tasks }: Sums): string {
  const words = `${count(tasks.running)} running, ${count(tasks.waiting)} waiting, ${count(tasks.finished)} done`;
  return tasks.failed ? `${words}, ${count(tasks.failed)} failed` : words;
}

export function actorsInWords({ actors }: Sums): string {
  const parts = [`${count(actors.alive)} alive`];
  for (const state of ['starting', 'restarting'] as const) {
    if (actors[state]) {
      parts.push(`${count(actors[state])} ${state}`);
    }
  }
  return parts.join(', ');
}

/** A whole number from 1 on that a person typed; null for anything else. */
export function wholeNumber(typed: string): number | null {
  const value = Number(typed);
  return typed.trim() !== '' && Number.isInteger(value) && value >= 1 ? value : null;
}
