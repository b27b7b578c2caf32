// The answer: the digit, how sure, and a bar for each of the ten.

import { percent } from "./words.js";

const NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const byId = (id) => document.getElementById(id);

const named = (digit) => `${digit === 8 ? "an" : "a"} ${NAMES[digit]}`;

function wording({ digit, confidence, probabilities }) {
  const order = probabilities.map((share, label) => [share, label]).sort((a, b) => b[0] - a[0]);
  const [share, second] = order[1];
  if (confidence >= 0.95) return `This is ${named(digit)}`;
  if (confidence >= 0.7) return `Probably ${named(digit)}`;
  return `Perhaps ${named(digit)}${share > 0.15 ? `, or ${named(second)}` : ""}`;
}

/** Makes the bars; `choose(label)` is called for the one that is clicked. */
export class Answer {
  #bars;

  constructor(choose) {
    this.#bars = NAMES.map((_, label) => {
      const bar = document.createElement("button");
      bar.type = "button";
      bar.className = "bar";
      bar.disabled = true;
      for (const part of ["label", "share", "unseen", "track"]) {
        bar.append(Object.assign(document.createElement("span"), { className: part }));
      }
      bar.querySelector(".track").append(document.createElement("i"));
      bar.querySelector(".label").textContent = label;
      bar.addEventListener("click", () => choose(label));
      byId("bars").append(bar);
      return bar;
    });
    this.clear();
  }

  clear() {
    byId("verdict").dataset.state = "empty";
    this.#write("", "Nothing written yet", "The answer follows your pen.");
    for (const bar of this.#bars) {
      this.#fill(bar, 0);
      bar.disabled = true;
      bar.classList.remove("best");
    }
    this.mark(null);
  }

  /** Say what there is in place of an answer, unless one is shown. */
  wait(said, sure) {
    const { dataset } = byId("verdict");
    if (dataset.state !== "empty" && dataset.state !== "waiting") return;
    dataset.state = "waiting";
    this.#write("", said, sure);
  }

  /** Show an answer of the service. */
  show(answer) {
    const { digit, confidence, probabilities } = answer;
    const refused = answer.is_digit === false;
    byId("verdict").dataset.state = refused ? "refused" : "answered";
    if (refused) {
      this.#write("?", "Not sure this is a digit", `The closest would be ${named(digit)}, ${percent(confidence)}.`);
    } else {
      this.#write(String(digit), wording(answer), `${percent(confidence).replace("> ", "More than ")} sure`);
    }
    for (const [label, bar] of this.#bars.entries()) {
      this.#fill(bar, probabilities[label]);
      bar.disabled = false;
      bar.classList.toggle("best", label === digit);
    }
    return `${byId("said").textContent}. ${byId("sure").textContent}`;
  }

  /** Mark the digit that is explained. */
  mark(target) {
    for (const [label, bar] of this.#bars.entries()) bar.setAttribute("aria-pressed", String(label === target));
  }

  #fill(bar, share) {
    const [number, unit] = share >= 0.0005 ? percent(share).split(/ (?=%)/) : ["", "0 %"];
    bar.querySelector(".share").textContent = number; // of the eyes; the rest is for the ears
    bar.querySelector(".unseen").textContent = unit;
    bar.querySelector("i").style.setProperty("--share", share);
  }

  #write(digit, said, sure) {
    byId("digit").textContent = digit;
    byId("said").textContent = said;
    byId("sure").textContent = sure;
  }
}
