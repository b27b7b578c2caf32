// "This is wrong": the reader says which digit it is.

import { correct } from "./service.js";
import { named } from "./words.js";

const byId = (id) => document.getElementById(id);

export class Correction {
  #answer = null;

  constructor() {
    byId("wrong").addEventListener("click", () => this.#open(byId("correction").hidden));
    for (let label = 0; label < 10; label += 1) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
      button.addEventListener("click", () => this.#send(label));
      byId("correction").append(button);
    }
  }

  get isOpen() {
    return !byId("correction").hidden;
  }

  /** Take this stored answer as the one to correct; null: there is none. */
  of(answer) {
    this.#answer = answer;
    this.close();
    byId("thanks").textContent = "";
    const wrong = byId("wrong");
    const kept = answer?.stored === "queued";
    const read = kept && answer.is_digit !== false ? answer.digit : null;
    for (const button of byId("correction").querySelectorAll("button")) {
      button.disabled = Number(button.textContent) === read;
    }
    wrong.disabled = !kept; // and unseen
    wrong.textContent = read !== null ? `This is not ${named(read)}` : "It is a digit";
    if (answer?.stored === "off") this.#say("This service keeps no answers, so there is none to correct.");
    if (answer?.stored === "dropped") this.#say("The service was too busy to keep this answer.");
  }

  close() {
    if (this.isOpen) this.#open(false);
  }

  /** Handle a key; true: it meant the correction. */
  typed(key) {
    if (!this.isOpen) return false;
    if (key === "Escape") {
      this.close();
      byId("wrong").focus();
      return true;
    }
    if (!/^[0-9]$/.test(key)) return false;
    byId("correction").querySelectorAll("button")[Number(key)].click();
    return true;
  }

  #open(open) {
    byId("correction").hidden = !open;
    byId("wrong").setAttribute("aria-expanded", String(open));
    if (open) byId("correction").querySelector("button:enabled").focus();
  }

  #say(text) {
    byId("thanks").textContent = text;
  }

  async #send(label) {
    const answer = this.#answer;
    this.close();
    byId("wrong").focus();
    this.#say("Sending …");
    try {
      await correct(answer.id, label);
      if (answer === this.#answer) this.#say(`✓ Stored: this is ${named(label)}. Thank you.`);
    } catch (refusal) {
      if (answer === this.#answer) this.#say(`Not stored. ${refusal.message}`);
    }
  }
}
