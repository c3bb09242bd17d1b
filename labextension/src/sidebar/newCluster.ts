/** The question what a new cluster is to be like. */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { KernelSpec } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';
import type { NewCluster } from '../api';
import { element } from '../dom/elements';

const CPUS_MAX = 4096;

class Question extends Widget implements Dialog.IBodyWidget<NewCluster> {
  private name = field('text', 'a name of its own');
  private cpus = field('number', 'all');
  private kernel = element('select', { class: 'raynb-Select' });

  constructor(specs: KernelSpec.ISpecModels | null, kernel: string) {
    super();
    this.addClass('raynb-NewCluster');
    this.cpus.min = '1';
    this.cpus.max = String(CPUS_MAX);
    this.cpus.step = '1';
    const python = Object.values(specs?.kernelspecs ?? {}).filter(
      (spec): spec is KernelSpec.ISpecModel => spec?.language === 'python'
    );
    for (const spec of python) {
      const option = element('option', { text: spec.display_name });
      option.value = spec.name;
      this.kernel.append(option);
    }
    const preferred = [kernel, specs?.default].find(name =>
      python.some(spec => spec.name === name)
    );
    this.kernel.value = preferred ?? python.at(0)?.name ?? '';
    this.node.append(labelled('Name', this.name), labelled('CPUs', this.cpus));
    if (python.length) {
      this.node.append(labelled('Python of the kernel', this.kernel));
    }
  }

  getValue(): NewCluster {
    const cpus = this.cpus.value.trim();
    return {
      name: this.name.value.trim(),
      num_cpus: cpus ? Number(cpus) : null,
      kernel: this.kernel.value
    };
  }
}

/** What the user wants; null: no cluster after all. `kernel` is the spec that is proposed. */
export async function askForCluster(
  specs: KernelSpec.ISpecModels | null,
  kernel: string
): Promise<NewCluster | null> {
  const answer = await showDialog({
    title: 'Start a cluster',
    body: new Question(specs, kernel),
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: 'Start' })],
    focusNodeSelector: 'input'
  });
  if (!answer.button.accept || !answer.value) {
    return null;
  }
  const cpus = answer.value.num_cpus;
  if (cpus !== null && (!Number.isInteger(cpus) || cpus < 1 || cpus > CPUS_MAX)) {
    throw new Error(`The number of CPUs is a whole number from 1 to ${CPUS_MAX}, not ${cpus}.`);
  }
  return answer.value;
}

function field(type: string, placeholder: string): HTMLInputElement {
  const node = element('input', { class: 'raynb-Input jp-mod-styled' });
  node.type = type;
  node.placeholder = placeholder;
  return node;
}

function labelled(text: string, node: HTMLElement): HTMLElement {
  return element('label', {}, element('span', { text }), node);
}
