// Which model answers, and what it learned from.

import { about } from "./service.js";

const byId = (id) => document.getElementById(id);
const SOURCES = {
  mnist: "MNIST, 60,000 handwritten digits",
  uci: "1,797 scans of 8 × 8 pixels (UCI)",
  folder: "a folder of its owner's pictures",
};
let told = null;

/** Tell of the version that answered, if it is another than before. Throws the Refusal without a key. */
export async function tellOf(version) {
  if (told !== null && (version === undefined || version === told)) return;
  let model;
  try {
    model = await about();
  } catch (refusal) {
    if (refusal.status === 401) throw refusal;
    return; // the next answer asks again
  }
  const answering = version ?? model.version;
  const known = answering === model.version;
  // A challenger answers some in the champion's place; another one is new, and is asked about again.
  told = known || answering === model.challenger ? answering : null;
  const created = new Date(model.created).toLocaleDateString("en-GB", { dateStyle: "medium" });
  const { name, description = SOURCES[name] ?? name } = model.data;
  const scans = name === "uci" ? " Drawn digits look unlike them: a model of MNIST reads these better." : "";
  byId("about-version").textContent = `Model ${answering}`;
  byId("about-facts").hidden = byId("about-data").hidden = !known;
  byId("about-facts").textContent = `${model.parameters.toLocaleString("en")} weights, made ${created}`;
  byId("about-data").textContent = `Learned from ${description.replace(/\.$/, "")}.${scans}`;
  byId("about-kept").textContent = model.images_kept
    ? "What you write is kept, so that a model can learn from it."
    : "What you write is not kept.";
  byId("about").hidden = false;
}
