/** What anywidget gives a widget: its model, and the element to draw in. */

type Listener = (...args: never[]) => void;

export interface Model<State> {
  get<Key extends keyof State & string>(key: Key): State[Key];
  on(event: string, listener: Listener): void;
  off(event: string, listener: Listener): void;
  send(content: unknown): void;
}

export interface Place<State> {
  model: Model<State>;
  el: HTMLElement;
}

/** Call `draw` now, and whenever one of these changes; gives what ends that. */
export function follow<State>(
  model: Model<State>,
  keys: readonly (keyof State & string)[],
  draw: () => void
): () => void {
  for (const key of keys) {
    model.on(`change:${key}`, draw);
  }
  draw();
  return () => {
    for (const key of keys) {
      model.off(`change:${key}`, draw);
    }
  };
}
