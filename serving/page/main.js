// Joins the parts: what is on the paper is read, shown, explained and corrected.

import { tellOf } from "./about.js";
import { Answer } from "./answer.js";
import { Correction } from "./correction.js";
import { Latest } from "./latest.js";
import { Paper } from "./paper.js";
import { takePictures } from "./pictures.js";
import { Refusal, explain, newKey, predict, useKey } from "./service.js";
import { Why } from "./why.js";

const SETTLED = 300; // ms without a stroke after which the sheet counts as finished
const CALM = 30_000; // ms without readings while drawing, once the service has refused one
const byId = (id) => document.getElementById(id);

const paper = new Paper(byId("paper"), byId("sheet"), byId("nib"));
const answer = new Answer((label) => explanations.ask({ target: label, revision: paper.revision }));
const why = new Why(() => explanations.ask({ target, revision: paper.revision }));
const correction = new Correction();
const readings = new Latest((job) => attempt(job, read));
const explanations = new Latest((job) => attempt(job, tellWhy));
let sheet = newKey();
let target = null; // the digit that is explained; null: the one that is read
let timer = 0;
let pause = 0; // no readings while drawing until then
let held = null; // what the service said when it asked to wait

async function read(job) {
  if (job.settled && job.revision !== paper.revision) return;
  const { revision } = paper;
  const said = await predict(await paper.blob(), { stored: job.settled, sheet });
  if (paper.isEmpty || job.sheet !== sheet) return;
  const spoken = answer.show(said);
  why.see(said.pixels);
  introduce(said.version);
  if (!job.settled || revision !== paper.revision) return;
  byId("announce").textContent = spoken;
  correction.of(said);
  explanations.ask({ target: null, revision });
}

async function tellWhy(job) {
  if (job.revision !== paper.revision || !why.pixels) return;
  const told = await explain(why.pixels, why.method, job.target, Why.nearest);
  if (job.revision !== paper.revision) return;
  target = job.target;
  answer.mark(told.target);
  why.show(told);
}

/** Do a job; what goes wrong is said calmly. Resolves to seconds to wait before trying again. */
async function attempt(job, work) {
  try {
    await work(job);
    notify(null);
    return 0;
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    job.tries = (job.tries ?? 0) + 1;
    const wait = refusal.wait && Math.min(60, Math.max(refusal.wait, 2 ** job.tries / 2));
    if (refusal.status === 401) askForKey();
    else if (work === tellWhy && !wait) why.fail(refusal.message);
    else {
      held = [refusal.message, { wait, again: refusal.status === 0 || refusal.status >= 429 }];
      if (job.settled === false) pause = Date.now() + CALM;
      else if (!paper.isEmpty) notify(...held);
    }
    return wait ?? 0;
  }
}

function notify(text, { wait = null, again = false } = {}) {
  byId("notice").hidden = text === null;
  byId("notice-text").textContent = wait ? `${text} Trying again in ${Math.ceil(wait)} s.` : text;
  byId("again").hidden = !again;
  if (text !== null && !paper.isEmpty) answer.wait("No answer yet", "It stays on the paper.");
}

/** Say which model answers. */
function introduce(version) {
  tellOf(version).catch(askForKey);
}

function askForKey() {
  notify(null);
  if (!paper.isEmpty) answer.wait("No answer yet", "It stays on the paper.");
  const form = byId("key-form");
  if (!form.hidden) return;
  byId("key-label").textContent = byId("key").value
    ? "The service does not know this key."
    : "This service asks for a key. It is kept until you close this tab.";
  form.hidden = false;
}

function settle() {
  clearTimeout(timer);
  if (readings.isHeld) notify(...held);
  if (!paper.isEmpty) readings.ask({ settled: true, sheet, revision: paper.revision });
}

function again() {
  readings.hurry();
  explanations.hurry();
  settle();
}

function freshSheet() {
  sheet = newKey();
  readings.drop();
  explanations.drop();
  answer.clear();
  why.clear();
  notify(null);
}

paper.addEventListener("change", ({ detail: { drawing } }) => {
  clearTimeout(timer);
  target = null;
  byId("paper-state").textContent = paper.words;
  byId("undo").disabled = !paper.canUndo;
  byId("clear").disabled = paper.isEmpty;
  byId("announce").textContent = "";
  correction.of(null);
  if (paper.isEmpty) return freshSheet();
  answer.wait("Reading …", "");
  if (paper.picture) return settle();
  if (Date.now() > pause) readings.ask({ settled: false, sheet, revision: paper.revision });
  if (!drawing) timer = setTimeout(settle, SETTLED);
});

takePictures((canvas, name) => {
  freshSheet();
  paper.show(canvas, name);
}, notify);

byId("undo").addEventListener("click", () => paper.undo());
byId("clear").addEventListener("click", () => paper.clear());
byId("pen").addEventListener("input", (event) => {
  paper.width = event.target.value / 100;
});
byId("again").addEventListener("click", again);
addEventListener("online", again);
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value.trim());
  byId("key-form").hidden = true;
  byId("paper").focus();
  introduce();
  settle();
});
document.addEventListener("keydown", (event) => {
  if (event.target === byId("key") || event.altKey) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !event.shiftKey) {
    paper.undo();
  } else if (event.ctrlKey || event.metaKey) {
    return;
  } else if (correction.typed(event.key)) {
    // it was meant for the panel
  } else if (["Escape", "Delete", "Backspace"].includes(event.key)) {
    paper.clear();
  } else return;
  event.preventDefault();
});

introduce();
