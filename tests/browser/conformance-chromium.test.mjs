// Every conformance script, played to the collector as wasm in a page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { complaintsOf, launch } from "./support/chromium.mjs";
import { firstDifference, runner, scripts } from "./support/scripts.mjs";
import { serve } from "./support/static.mjs";

let server;
let browser;

before(async () => {
  server = await serve(runner().folder);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

test("every script is answered in Chromium as in process", async (t) => {
  const page = await browser.newPage();
  const complaints = await complaintsOf(page);
  await page.goto(server.url);
  const all = scripts();
  const play = async ([file, wasm, scripts]) => {
    const module = await import(`/${file}`);
    await module.default({ module_or_path: `/${wasm}` });
    return scripts.map(({ name, text }) => module.run_script(name, text));
  };
  const transcripts = await page.evaluate(play, [runner().module, runner().wasm, all]);
  for (const [index, { name, expected }] of all.entries()) {
    await t.test(name, () => {
      const difference = firstDifference(expected, transcripts[index]);
      if (difference !== "") assert.fail(`${name} differs in Chromium at ${difference}`);
    });
  }
  // A server for tests has no icon.
  assert.deepEqual(complaints.filter((text) => !text.includes("favicon")), []);
});
