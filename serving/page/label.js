// Joins the parts of the labelling page: one sample after the other, answered with a key.

import { Pad } from "./pad.js";
import { lookAround } from "./people.js";
import { decode, paintInk, wipe } from "./pixels.js";
import { Refusal, labelling, useKey } from "./service.js";
import { named, percent } from "./words.js";

const IDLE = 10_000; // ms until it is asked again whether there is something to label
const byId = (id) => document.getElementById(id);

const pad = new Pad(answer);
let labeller = recall("digits-labeller") ?? "";
let desk = null; // what the service last put before the labeller
let last = null; // pixels of the sample that was answered last
let busy = false;
let timer = 0;
let retry = null; // does again what was not stored

function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // holds for this visit only
  }
}

/** Ask the service, one request at a time, and show what it puts on the desk. */
async function act(what, form = {}, said = "") {
  if (busy || !labeller) return;
  busy = true;
  clearTimeout(timer);
  try {
    const before = desk?.sample;
    const now = await labelling(what, { labeller, ...form });
    notify(null);
    show(now);
    tell(said, what === "undo" ? null : before);
    if (said && now.answered % 10 === 0) lookAround();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    // An answer may be given twice; something else would be undone the second time.
    retry = what === "undo" ? () => act("next") : () => act(what, form, said);
    if (refusal.status === 401) askForKey();
    else notify(said ? `Not stored. ${refusal.message}` : refusal.message, refusal);
  } finally {
    busy = false;
  }
}

function answer(label) {
  if (desk?.sample) act("label", { number: desk.sample.number, label }, `Stored: ${named(label)}.`);
}

function skip() {
  if (desk?.sample) act("skip", { number: desk.sample.number }, "Skipped: others will see it.");
}

function undo() {
  if (desk?.answered) act("undo", {}, "Taken back.");
}

function show(now) {
  desk = now;
  const { sample } = desk;
  byId("sheet").dataset.state = sample ? "shown" : "empty";
  pad.show(sample);
  paint();
  byId("none").disabled = byId("skip").disabled = !sample;
  byId("undo").disabled = desk.answered === 0;
  byId("sample").setAttribute("aria-label", sample ? "The sample, 28 by 28 pixels" : "No sample");
  byId("question").textContent = sample ? "Which digit is this?" : "Nothing to answer";
  byId("guess").textContent = sample ? `The model reads ${named(sample.digit)}, ${percent(sample.confidence)} sure.` : "";
  const { suggestion } = sample ?? {};
  byId("suggestion").textContent = suggestion == null ? "" : `Somebody says it is ${named(suggestion)}.`;
  count();
  if (!sample) timer = setTimeout(wait, IDLE);
}

function wait() {
  if (document.hidden) timer = setTimeout(wait, IDLE);
  else act("next");
}

function count() {
  const { queued, labelled, disputed } = desk.progress;
  byId("done").value = queued ? labelled / queued : 0;
  const words = [`${labelled} of ${queued} labelled`, `${desk.answered} answered by you`];
  if (disputed) words.push(`${disputed} disputed`);
  byId("counts").textContent = words.join(" · ");
  const [rest, why] = queued === 0
    ? ["Nothing is queued", "scripts/run task=select chooses what is worth a label."]
    : labelled === queued
      ? ["Everything is labelled", "Thank you. More appears here by itself."]
      : ["Nothing left for you", "The rest is with others, or you have skipped it."];
  byId("rest").textContent = rest;
  byId("rest-why").textContent = why;
}

/** Say what was done, and show the sample that it was done to. */
function tell(said, before) {
  if (said) {
    last = before?.pixels ?? null;
    byId("last").hidden = false;
    byId("last-text").textContent = (before ? "✓ " : "") + said;
    paint();
  }
  byId("announce").textContent = `${said} ${byId("guess").textContent || byId("rest").textContent}`.trim();
}

function paint() {
  const draw = (canvas, pixels) => (pixels ? paintInk(canvas, decode(pixels)) : wipe(canvas));
  draw(byId("sample"), desk?.sample?.pixels);
  draw(byId("last-sample"), last);
  byId("last-sample").hidden = last === null;
}

function notify(text, { status = 0, wait = null } = {}) {
  byId("notice").hidden = text === null;
  byId("notice-text").textContent = wait ? `${text} Trying again in ${Math.ceil(wait)} s.` : text;
  byId("again").hidden = status !== 0 && status < 429;
  if (wait) timer = setTimeout(() => retry(), 1000 * wait);
}

function askForKey() {
  notify(null);
  byId("key-label").textContent = byId("key").value
    ? "The service does not know this key."
    : "This service asks for a key. It is kept until you close this tab.";
  byId("key-form").hidden = false;
  byId("key").focus();
}

function begin() {
  byId("name-form").hidden = Boolean(labeller);
  byId("me").hidden = !labeller;
  byId("me-name").textContent = labeller;
  if (!labeller) return byId("name").focus();
  act("next");
  lookAround();
}

byId("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  labeller = byId("name").value.trim();
  remember("digits-labeller", labeller);
  byId("last").hidden = true;
  document.activeElement.blur(); // the keys answer from here on
  begin();
});
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value.trim());
  byId("key-form").hidden = true;
  document.activeElement.blur();
  retry();
  lookAround();
});
byId("rename").addEventListener("click", () => {
  byId("name").value = labeller;
  byId("name-form").hidden = false;
  byId("name").select();
});
byId("none").addEventListener("click", () => answer(-1));
byId("skip").addEventListener("click", skip);
byId("undo").addEventListener("click", undo);
byId("again").addEventListener("click", () => retry());
byId("keys").checked = recall("digits-label-keys") !== "off";
byId("keys").addEventListener("change", () => remember("digits-label-keys", byId("keys").checked ? "on" : "off"));
document.addEventListener("theme", paint);
addEventListener("online", () => !byId("notice").hidden && retry());
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=text]")) return;
  const key = event.key.toLowerCase();
  if (event.repeat && (event.target.matches("button") || /^[0-9nsu]$/.test(key))) return event.preventDefault();
  if (!byId("keys").checked) return;
  if (/^[0-9]$/.test(key)) answer(Number(key));
  else if (key === "n") answer(-1);
  else if (key === "s") skip();
  else if (key === "u") undo();
  else return;
  event.preventDefault();
});

begin();
