// The drift panel: the last verdict, the course of the accuracy, and every window.

import { Refusal, drift, useKey } from "./service.js";

const LAST = 50; // windows that are shown
const EVERY = 15_000; // ms between two looks
const WIDTH = 640, HEIGHT = 260, LEFT = 48, RIGHT = 12, TOP = 12, BOTTOM = 28; // of the chart
const SVG = "http://www.w3.org/2000/svg";
const STATUS = {
  steady: ["Steady", "Nothing in the last window is unusual."],
  shifted: ["Shifted", "The images have changed; answers are about as good as before."],
  harmful: ["Harmful shift", "The images have changed, and answers are worse for it."],
  unknown: ["Cannot tell", "The last window has too few images."],
};
const byId = (id) => document.getElementById(id);
const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);
const moment = (seconds) => new Date(1000 * seconds).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
const odds = (chance) => (chance === null ? "–" : `1 in ${Math.max(1, Math.round(1 / chance)).toLocaleString()}`);
let timer = 0;

async function look() {
  clearTimeout(timer);
  try {
    show((await drift(LAST)).findings);
    notify(null);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (refusal.status === 401) return askForKey();
    notify(refusal.message);
  }
  timer = setTimeout(look, EVERY);
}

function show(findings) {
  const last = findings.at(-1);
  if (!last) return;
  const [title, meaning] = STATUS[last.status];
  byId("now").dataset.status = last.status;
  // Said again only when it is another: a reader hears what changes.
  if (byId("status").textContent !== title) byId("status").textContent = title;
  byId("meaning").textContent = meaning;
  byId("facts").replaceChildren(...facts(last).flatMap(([name, value]) => [cell("dt", name), cell("dd", value)]));
  byId("rows").replaceChildren(...findings.toReversed().map(row));
  draw(findings.filter((each) => each.accuracy !== null));
}

const interval = (each) => (each.accuracy === null ? "–" : `${percent(each.accuracy)} (${percent(each.low)} to ${percent(each.high)})`);

function facts(last) {
  return [
    ["Window", last.name],
    ["Accuracy now", interval(last)],
    ["On the reference", percent(last.before)],
    ["Unlike the reference", `${percent(last.foreign_share)} of the images`],
    ["By chance", `${odds(last.chance)} clean windows looks so`],
    ["Loudest signal", last.loudest?.replaceAll("_", " ") ?? "–"],
    ["Model", last.version],
    ["Judged", moment(last.time)],
  ];
}

const cell = (tag, textContent) => Object.assign(document.createElement(tag), { textContent });

function row(each) {
  const line = document.createElement("tr");
  line.dataset.status = each.status;
  const judged = Object.assign(cell("th", moment(each.time)), { scope: "row" });
  const values = [STATUS[each.status][0], interval(each), percent(each.foreign_share), each.images, each.labels, each.version];
  line.append(judged, ...values.map((value) => cell("td", value)));
  return line;
}

function draw(known) {
  byId("chart").toggleAttribute("hidden", known.length === 0);
  if (!known.length) return;
  const lowest = Math.max(0, Math.floor(10 * Math.min(...known.map((each) => each.low)) - 0.001) / 10);
  const x = (place) => LEFT + ((place + 0.5) * (WIDTH - LEFT - RIGHT)) / known.length;
  const y = (share) => TOP + ((1 - share) * (HEIGHT - TOP - BOTTOM)) / Math.max(1 - lowest, 0.01);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => lowest + part * (1 - lowest));
  const before = known.at(-1).before;
  byId("chart").replaceChildren(
    ...ticks.flatMap((share) => [
      shape("line", "rule", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(share), y2: y(share) }),
      words(LEFT - 8, y(share) + 4, "end", `${Math.round(100 * share)} %`),
    ]),
    shape("line", "before", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(before), y2: y(before) }),
    ...known.flatMap((each, place) => [
      shape("line", each.status, { x1: x(place), x2: x(place), y1: y(each.low), y2: y(each.high) }),
      shape("circle", each.status, { cx: x(place), cy: y(each.accuracy), r: 4.5 }),
    ]),
    words(x(0), HEIGHT - 8, "start", moment(known[0].time)),
    ...(known.length > 1 ? [words(WIDTH - RIGHT, HEIGHT - 8, "end", moment(known.at(-1).time))] : []),
  );
  byId("chart-said").textContent =
    `The last of ${known.length}: ${interval(known.at(-1))}; the dashed line is the reference, ${percent(before)}.`;
}

function shape(tag, name, places) {
  const made = document.createElementNS(SVG, tag);
  made.setAttribute("class", name);
  for (const [key, value] of Object.entries(places)) made.setAttribute(key, value);
  return made;
}

function words(x, y, anchor, textContent) {
  return Object.assign(shape("text", "", { x, y, "text-anchor": anchor }), { textContent });
}

function notify(text) {
  byId("notice").hidden = text === null;
  byId("notice-text").textContent = text ?? "";
}

function askForKey() {
  byId("key-label").textContent = byId("key").value
    ? "The service does not know this key."
    : "This service asks for a key. It is kept until you close this tab.";
  byId("key-form").hidden = false;
  byId("key").focus();
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value.trim());
  byId("key-form").hidden = true;
  look();
});
addEventListener("online", look);
document.addEventListener("visibilitychange", () => document.hidden || look());

look();
