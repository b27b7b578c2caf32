// One request at a time; of those that come meanwhile only the last is asked.

export class Latest {
  #run;
  #next = null;
  #busy = false;
  #wake = null;

  /** `run(job)` resolves to the seconds to wait before the same job is tried again, or to nothing. */
  constructor(run) {
    this.#run = run;
  }

  ask(job) {
    this.#next = job;
    this.#turn();
  }

  /** Whether it waits to try again. */
  get isHeld() {
    return this.#wake !== null;
  }

  /** Forget what waits. */
  drop() {
    this.#next = null;
    this.hurry();
  }

  /** Do not wait any longer. */
  hurry() {
    this.#wake?.();
  }

  async #turn() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#next) {
        const job = this.#next;
        this.#next = null;
        const wait = await this.#run(job);
        if (wait) {
          this.#next ??= job;
          await this.#hold(wait);
        }
      }
    } finally {
      this.#busy = false;
    }
  }

  #hold(seconds) {
    return new Promise((done) => {
      const timer = setTimeout(() => this.#wake(), seconds * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        done();
      };
    });
  }
}
