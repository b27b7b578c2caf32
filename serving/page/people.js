// Who labels, and how far their labels agree with others' and with what is known.

import { labellers } from "./service.js";

const byId = (id) => document.getElementById(id);

const share = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} % of ${whole}` : "–");

function row(person) {
  const controls = person.right + person.wrong;
  const line = document.createElement("tr");
  line.classList.toggle("doubtful", person.doubtful);
  const cells = [
    ["td", person.labels + (person.withdrawn ? ` (${person.withdrawn} withdrawn)` : "")],
    ["td", share(person.agreed, person.compared)],
    ["td", controls ? `${person.wrong} of ${controls} wrong` : "–"],
  ];
  const name = Object.assign(document.createElement("th"), { scope: "row", textContent: person.name });
  line.append(name, ...cells.map(([tag, textContent]) => Object.assign(document.createElement(tag), { textContent })));
  return line;
}

/** Look who labels; what goes wrong here is said by whatever else is asked. */
export async function lookAround() {
  const people = (await labellers().catch(() => null))?.labellers;
  if (!people) return;
  byId("people-rows").replaceChildren(...people.map(row));
  const doubtful = people.filter((person) => person.doubtful).map((person) => person.name);
  byId("doubts").textContent = doubtful.length ? `${doubtful.join(", ")}: look at the controls` : "";
}

byId("people").addEventListener("toggle", () => byId("people").open && lookAround());
