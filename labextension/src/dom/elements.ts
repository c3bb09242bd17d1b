/** Small helpers to build DOM with. Text is only ever set as text. */

export interface Attributes {
  class?: string;
  text?: string;
  title?: string;
  role?: string;
  label?: string;
  [attribute: `aria-${string}` | `data-${string}`]: string;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Node[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes) as [string, string][]) {
    if (name === 'class') {
      node.className = value;
    } else if (name === 'text') {
      node.textContent = value;
    } else {
      node.setAttribute(name === 'label' ? 'aria-label' : name, value);
    }
  }
  node.append(...children);
  return node;
}

export function button(
  text: string,
  work: () => void,
  attributes: Attributes = {}
): HTMLButtonElement {
  const node = element('button', { text, ...attributes });
  node.type = 'button';
  node.classList.add('raynb-Button');
  node.addEventListener('click', work);
  return node;
}

/** A button that is on or off, and says so. */
export function toggle(
  text: string,
  on: boolean,
  work: (on: boolean) => void,
  attributes: Attributes = {}
): HTMLButtonElement {
  const node = button(
    text,
    () => {
      const now = node.getAttribute('aria-pressed') !== 'true';
      node.setAttribute('aria-pressed', String(now));
      work(now);
    },
    attributes
  );
  node.setAttribute('aria-pressed', String(on));
  return node;
}

export function select(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  value: string,
  work: (value: string) => void
): HTMLSelectElement {
  const node = element('select', { class: 'raynb-Select', label });
  for (const [key, text] of options) {
    const option = element('option', { text });
    option.value = key;
    node.append(option);
  }
  node.value = value;
  node.addEventListener('change', () => {
    work(node.value);
  });
  return node;
}
