// Ten keys, each with the probability that the model gives its digit.

import { percent } from "./words.js";

const byId = (id) => document.getElementById(id);

export class Pad {
  #keys;

  /** `choose(label)` is called for the key that is pressed. */
  constructor(choose) {
    this.#keys = Array.from({ length: 10 }, (_, label) => {
      const key = Object.assign(document.createElement("button"), { type: "button", className: "digit-key" });
      key.setAttribute("aria-keyshortcuts", label);
      key.append(...["b", "span", "i"].map((part) => document.createElement(part)));
      key.querySelector("b").textContent = label;
      key.addEventListener("click", () => choose(label));
      byId("pad").append(key);
      return key;
    });
    this.show(null);
  }

  /** Show what the model and others say of a sample; null: there is none. */
  show(sample) {
    for (const [label, key] of this.#keys.entries()) {
      const share = sample?.probabilities[label] ?? 0;
      key.disabled = sample === null;
      key.classList.toggle("best", label === sample?.digit);
      key.classList.toggle("suggested", label === sample?.suggestion);
      key.querySelector("span").textContent = share >= 0.0005 ? percent(share) : "";
      key.querySelector("i").style.setProperty("--share", share);
    }
  }
}
