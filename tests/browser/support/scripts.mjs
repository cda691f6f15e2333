// The conformance scripts and what they must answer.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { artefact, root } from "./paths.mjs";

/** Every script: its name, its text, its expected transcript. */
export function scripts() {
  const folder = join(root, "tests/conformance/scripts");
  const names = readdirSync(folder).filter((file) => file.endsWith(".txt")).sort();
  return names.map((file) => ({
    name: file.slice(0, -4),
    text: readFileSync(join(folder, file), "utf8"),
    expected: readFileSync(join(folder, file.replace(/txt$/, "out")), "utf8"),
  }));
}

/** Where two transcripts part, with a few lines before; an empty text if they are equal. */
export function firstDifference(expected, actual) {
  if (expected === actual) return "";
  const [old, now] = [expected.split("\n"), actual.split("\n")];
  let at = 0;
  while (at < old.length && old[at] === now[at]) at += 1;
  const before = old.slice(Math.max(0, at - 4), at).map((line) => `    ${line}\n`);
  return `line ${at + 1}:\n${before.join("")}  - ${old[at] ?? "(end)"}\n  + ${now[at] ?? "(end)"}`;
}

/** The runner as wasm-bindgen made it: its folder, and the names of the module and of its wasm. */
export function runner() {
  const folder = artefact("conformance", "conformance");
  const files = readdirSync(folder);
  const [module, wasm] = [files.find((file) => file.endsWith(".js")), files.find((file) => file.endsWith(".wasm"))];
  if (module === undefined || wasm === undefined) throw new Error(`${folder} lacks a module: run cargo xtask build conformance`);
  return { folder, module, wasm };
}
