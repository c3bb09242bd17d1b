/** Has something done soon, and no more often than every so many milliseconds, however often that is asked for. */
export class Pace {
  private timer = 0;
  private last = -Infinity;

  constructor(
    private everyMs: number,
    private work: () => void
  ) {}

  /** At once, where it has not been done lately. */
  ask(): void {
    const wait = this.last + this.everyMs - performance.now();
    if (wait <= 0 && !this.timer) {
      this.run();
    } else {
      this.timer ||= window.setTimeout(() => {
        this.timer = 0;
        this.run();
      }, wait);
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
  }

  private run(): void {
    this.last = performance.now();
    this.work();
  }
}
