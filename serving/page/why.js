// Why: what the model saw, which pixels spoke for a digit, and the examples that look most alike.

import { decode, paintHeat, paintInk, wipe } from "./pixels.js";

const byId = (id) => document.getElementById(id);
const NEAREST = 9;
const METHODS = {
  integrated_gradients: ["Integrated gradients", "How much each pixel adds to the score of an empty page."],
  saliency: ["Saliency", "How strongly the score reacts if a pixel changes a little."],
  occlusion: ["Occlusion", "How much the score falls when a small patch of the digit is covered."],
};

/** Makes the method chooser; `choose()` is called when another is taken. */
export class Why {
  method = "integrated_gradients";
  #seen = null;
  #explained = null;

  constructor(choose) {
    for (const [name, [title, note]] of Object.entries(METHODS)) {
      const label = document.createElement("label");
      const radio = Object.assign(document.createElement("input"), {
        type: "radio", name: "method", value: name, checked: name === this.method,
      });
      radio.addEventListener("change", () => {
        this.method = name;
        byId("method-note").textContent = note;
        choose();
      });
      label.append(radio, Object.assign(document.createElement("span"), { textContent: title }));
      byId("methods").append(label);
    }
    document.addEventListener("theme", () => this.#repaint());
    this.clear();
  }

  get pixels() {
    return this.#seen;
  }

  static get nearest() {
    return NEAREST;
  }

  clear() {
    this.#seen = this.#explained = null;
    byId("why").dataset.state = "empty";
    byId("why-title").textContent = "Why";
    byId("method-note").textContent = METHODS[this.method][1];
    for (const id of ["seen", "heat"]) wipe(byId(id));
    byId("seen").setAttribute("aria-label", "What the model saw: nothing yet");
    byId("heat").setAttribute("aria-label", "Explanation: none yet");
    this.#tiles([]);
  }

  /** Show the 784 pixels that were read; what explained earlier ones pales. */
  see(base64) {
    this.#seen = decode(base64);
    if (byId("why").dataset.state === "explained") byId("why").dataset.state = "stale";
    byId("seen").setAttribute("aria-label", "What the model saw: the digit, cut out, scaled and centred");
    paintInk(byId("seen"), this.#seen);
  }

  /** Say, in place of the explanation, that there is none. */
  fail(text) {
    this.#explained = null;
    wipe(byId("heat"));
    this.#tiles([]);
    byId("why").dataset.state = "failed";
    byId("method-note").textContent = text;
  }

  /** Show an explanation of the service. */
  show(explanation) {
    const attribution = explanation.attribution.flat();
    const signed = attribution.some((value) => value < 0);
    const { target, digit } = explanation;
    this.#explained = { pixels: decode(explanation.pixels), attribution, signed };
    byId("why").dataset.state = "explained";
    byId("why-title").textContent = `Why ${target === digit ? "" : "not "}${target === 8 ? "an" : "a"} ${target}?`;
    byId("low").textContent = signed ? `against ${target}` : "little";
    byId("high").textContent = signed ? `for ${target}` : "much";
    byId("scale").dataset.kind = byId("heat").dataset.kind = signed ? "signed" : "strength";
    const [title, note] = METHODS[explanation.method];
    const gap = explanation.completeness_gap;
    const exact = typeof gap === "number" ? ` Together they miss it by ${gap.toPrecision(2)}.` : "";
    byId("method-note").textContent = note + exact;
    byId("heat").setAttribute("aria-label", `${title} for ${target}: a heat map over the digit. ${note}`);
    this.#repaint();
    this.#tiles(explanation.nearest ?? []);
  }

  #repaint() {
    if (this.#seen) paintInk(byId("seen"), this.#seen);
    if (this.#explained) {
      const { pixels, attribution } = this.#explained;
      const ends = byId("scale").querySelectorAll("i");
      paintHeat(byId("heat"), pixels, attribution, ends[0], ends[ends.length - 1]);
    }
    for (const tile of byId("nearest").querySelectorAll("canvas")) paintInk(tile, decode(tile.dataset.pixels));
  }

  #tiles(nearest) {
    const items = nearest.map(({ label, pixels, distance }) => {
      const item = document.createElement("li");
      const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
      canvas.dataset.pixels = pixels;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `An example of ${label}`);
      item.title = `A ${label}, at distance ${distance.toPrecision(3)}`;
      item.append(canvas, Object.assign(document.createElement("span"), { textContent: label, ariaHidden: "true" }));
      return item;
    });
    byId("nearest").replaceChildren(...items);
    for (const tile of byId("nearest").querySelectorAll("canvas")) paintInk(tile, decode(tile.dataset.pixels));
  }
}
