// Every conformance script, played to the collector as wasm in Node.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { firstDifference, runner, scripts } from "./support/scripts.mjs";

async function load() {
  const { folder, module, wasm } = runner();
  const loaded = await import(pathToFileURL(join(folder, module)).href);
  await loaded.default({ module_or_path: await readFile(join(folder, wasm)) });
  return loaded;
}

test("every script is answered in Node as in process", async (t) => {
  const module = await load();
  const all = scripts();
  assert.ok(all.length >= 3, "the scripts are in place");
  for (const { name, text, expected } of all) {
    await t.test(name, () => {
      const difference = firstDifference(expected, module.run_script(name, text));
      if (difference !== "") assert.fail(`${name} differs in Node at ${difference}`);
    });
  }
});

test("a wrong script is refused with its name and line", async () => {
  const module = await load();
  assert.throws(
    () => module.run_script("mine", "at 1s\nhop\n"),
    (error) => String(error) === 'mine: line 2: no verb is called "hop"',
  );
});
