// Every conformance script, played to the collector as wasm in Node.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { artefact } from "./support/paths.mjs";
import { firstDifference, scripts } from "./support/scripts.mjs";

test("every script is answered in Node as in process", async (t) => {
  const folder = artefact("conformance", "conformance");
  const module = await import(pathToFileURL(join(folder, "conformance.js")).href);
  await module.default({ module_or_path: await readFile(join(folder, "conformance_bg.wasm")) });
  const all = scripts();
  assert.ok(all.length >= 3, "the scripts are in place");
  for (const { name, text, expected } of all) {
    await t.test(name, () => {
      assert.equal(firstDifference(expected, module.run_script(name, text)), "", `${name} differs in Node`);
    });
  }
});

test("a wrong script is refused with its name and line", async () => {
  const folder = artefact("conformance", "conformance");
  const module = await import(pathToFileURL(join(folder, "conformance.js")).href);
  await module.default({ module_or_path: await readFile(join(folder, "conformance_bg.wasm")) });
  assert.throws(
    () => module.run_script("mine", "at 1s\nhop\n"),
    (error) => String(error) === 'mine: line 2: no verb is called "hop"',
  );
});
