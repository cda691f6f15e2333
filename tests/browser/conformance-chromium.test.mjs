// Every conformance script, played to the collector as wasm in a page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { complaintsOf, launch } from "./support/chromium.mjs";
import { artefact } from "./support/paths.mjs";
import { firstDifference, scripts } from "./support/scripts.mjs";
import { serve } from "./support/static.mjs";

let server;
let browser;

before(async () => {
  server = await serve(artefact("conformance", "conformance"));
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
  const transcripts = await page.evaluate(async (scripts) => {
    const module = await import("/conformance.js");
    await module.default();
    return scripts.map(({ name, text }) => module.run_script(name, text));
  }, all);
  for (const [index, { name, expected }] of all.entries()) {
    await t.test(name, () => {
      assert.equal(firstDifference(expected, transcripts[index]), "", `${name} differs in Chromium`);
    });
  }
  // A server for tests has no icon.
  assert.deepEqual(complaints.filter((text) => !text.includes("favicon")), []);
});
