/** A button for what can't be undone: it asks in its own place, by mouse and by keyboard, and says how it went. */
import { button, element } from './elements';

export interface Wish {
  /** What the button says, "Free…". */
  text: string;
  question: string;
  /** What the button that does it says. */
  yes: string;
  done: string;
  work: () => Promise<void>;
}

export function confirmed(wish: Wish): HTMLElement {
  const said = element('span', { role: 'status' });
  const ask = button(wish.text, () => {
    said.textContent = '';
    ask.hidden = true;
    box.hidden = false;
    no.focus();
  });
  const back = (): void => {
    box.hidden = true;
    ask.hidden = false;
    ask.focus();
  };
  const yes = button(
    wish.yes,
    () => {
      back();
      said.textContent = '…';
      wish.work().then(
        () => {
          said.textContent = wish.done;
          ask.disabled = true;
        },
        (error: unknown) => {
          said.textContent = error instanceof Error ? error.message : String(error);
        }
      );
    },
    { class: 'raynb-mod-warn' }
  );
  const no = button('Keep it', back);
  const box = element(
    'span',
    { class: 'raynb-Question', role: 'group', label: wish.question },
    element('span', { text: wish.question }),
    yes,
    no
  );
  box.hidden = true;
  box.addEventListener('keydown', event => {
    if (event.key === 'Escape') {
      event.stopPropagation();
      back();
    }
  });
  return element('span', { class: 'raynb-Confirm' }, ask, box, said);
}
