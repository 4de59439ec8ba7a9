// What a browser loads for each page, compressed, against what it may be (docs/web.md).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const KB = 1000;
const ENTRY = "index.html";
const FIRST = { scripts: 150, styles: 20 };
/** What pages of each kind may add to the first load, scripts and styles together. */
const MORE = [
  [/^src\/seats\/page/, "seats", 25],
  [/^src\/scan\/page/, "scanner", 15],
  [/^src\/(admin|manage|staff)\/.*\.tsx$/, "work", 150],
];

const folder = process.argv[2];
const manifest = JSON.parse(readFileSync(join(folder, ".vite", "manifest.json"), "utf8"));

/** The files that are loaded before this part can run. */
function filesOf(name, seen = new Set()) {
  if (seen.has(name)) return new Set();
  seen.add(name);
  const { file, css = [], imports = [] } = manifest[name];
  return new Set([file, ...css, ...imports.flatMap((one) => [...filesOf(one, seen)])]);
}

function sizeOf(files, ending) {
  const wanted = [...files].filter((one) => one.endsWith(ending));
  const bytes = wanted.map((one) => gzipSync(readFileSync(join(folder, one)), { level: 9 }).length);
  return bytes.reduce((sum, one) => sum + one, 0) / KB;
}

const first = filesOf(ENTRY);
const lines = [
  ["first load, scripts", sizeOf(first, ".js"), FIRST.scripts],
  ["first load, styles", sizeOf(first, ".css"), FIRST.styles],
];
for (const [pattern, kind, most] of MORE) {
  const pages = Object.keys(manifest).filter(
    (name) => pattern.test(name) && manifest[name].isDynamicEntry,
  );
  if (pages.length === 0) throw new Error(`The build has no pages of the kind ${kind}.`);
  for (const name of pages) {
    const added = [...filesOf(name)].filter((one) => !first.has(one));
    if (added.some((one) => one.endsWith(".wasm"))) throw new Error(`${name} waits for a wasm.`);
    lines.push([`${kind}: ${name}`, sizeOf(added, ".js") + sizeOf(added, ".css"), most]);
  }
}

let isOver = false;
for (const [what, size, most] of lines) {
  const mark = size > most ? "  TOO LARGE" : "";
  isOver ||= size > most;
  console.log(`${size.toFixed(1).padStart(7)} of ${String(most).padStart(3)} KB  ${what}${mark}`);
}
process.exitCode = isOver ? 1 : 0;
