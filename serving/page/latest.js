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
    while (this.#next) {
      const job = this.#next;
      this.#next = null;
      const wait = await this.#run(job);
      if (!wait) continue;
      this.#next ??= job;
      await new Promise((done) => {
        const timer = setTimeout(done, wait * 1000);
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
      });
      this.#wake = null;
    }
    this.#busy = false;
  }
}
