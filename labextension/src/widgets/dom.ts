/** Elements, with what others say as text only, and changed only where something has changed: so focus stays. */

type Attributes = Record<string, string | number | boolean>;

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className = '',
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (className) {
    element.className = className;
  }
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

export function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (element.getAttribute(name) !== text) {
      element.setAttribute(name, text);
    }
  }
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Show the first `count` of some parts; what is missing is made and appended. */
export function fit<Part extends { root: HTMLElement }>(
  parts: Part[],
  count: number,
  parent: HTMLElement,
  create: (index: number) => Part
): void {
  while (parts.length < count) {
    const part = create(parts.length);
    parts.push(part);
    parent.append(part.root);
  }
  parts.forEach((part, index) => {
    part.root.hidden = index >= count;
  });
}

const ANNOUNCER = 'raynb-announcer';

/** Have a screen reader say it. The place for it is the page's: it outlives the widget that has something to say. */
export function announce(text: string): void {
  let place = document.getElementById(ANNOUNCER);
  if (!place) {
    place = make('div', '', { id: ANNOUNCER, role: 'status', 'aria-live': 'polite' });
    place.style.cssText =
      'position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap';
    document.body.append(place);
  }
  place.textContent = text;
}
