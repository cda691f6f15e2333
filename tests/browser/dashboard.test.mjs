// The dashboard of a real `tidegate serve` in a real Chromium: live numbers, a query box, an outage.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { complaintsOf, launch } from "./support/chromium.mjs";
import { startTidegate } from "./support/tidegate.mjs";
import { eventually } from "./support/wait.mjs";

let tidegate;
let browser;
let page;
let complaints;

const ALERTS = `[alerts]
interval = "1s"
[[alert]]
name = "Uptime"
selector = "node_load1"
threshold = { op = ">=", value = 0 }
labels = { severity = "info" }
annotations = { summary = "load is <b>{{ $value }}</b>" }
`;

before(async () => {
  tidegate = await startTidegate({ config: ALERTS });
  browser = await launch();
  page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  complaints = await complaintsOf(page);
  await page.goto(tidegate.url);
});

after(async () => {
  await browser?.close();
  await tidegate?.stop();
});

const find = (id) => page.locator(`[data-testid="${id}"]`).first();
const textOf = async (id) => (await find(id).textContent({ timeout: 5000 }).catch(() => "")) ?? "";
const connection = () => find("connection").getAttribute("data-state", { timeout: 5000 }).catch(String);

/** Waits for the header to say how the server does. */
async function connectionIs(state) {
  await eventually(`the page to say "${state}"`, async () => {
    const now = await connection();
    return now === state ? null : `it says "${now}"`;
  });
}

/** The number that a tile shows. */
async function tileNumber(id) {
  const digits = /-?\d[\d.,]*/.exec(await find(id).locator(".tile-number").textContent({ timeout: 5000 }).catch(() => ""));
  return digits === null ? null : digits[0];
}

/** What stands on a chart's canvas. */
const pixels = (id) => find(id).locator("canvas").first().evaluate((canvas) => canvas.toDataURL());

async function ask(query) {
  await find("query-input").fill(query);
  await find("query-run").click();
}

test("an alert that fires is shown, as text and not as markup", async () => {
  await eventually("an alert", async () => {
    const text = await textOf("alert");
    const is = /▲ firing.*Uptime.*load is <b>.*<\/b>.*severity=info.*for /s.test(text);
    return is ? null : `it says "${text}"`;
  });
  assert.equal(await find("alert").locator("b").count(), 0);
});

test("the tiles show numbers that change", async () => {
  await connectionIs("live");
  for (const id of ["tile-cpu", "tile-memory"]) {
    await eventually(`a number in ${id}`, async () => ((await tileNumber(id)) === null ? await textOf(id) : null));
  }
  const seen = new Set();
  await eventually("a number that changes", async () => {
    seen.add(`${await tileNumber("tile-cpu")} ${await tileNumber("tile-memory")}`);
    return seen.size >= 3 ? null : `only ${[...seen].join(", ")}`;
  });
});

test("a number has its freshness, age and provenance beside it", async () => {
  const pill = find("tile-cpu").locator('[data-testid="pill"]');
  await eventually("a fresh pill", async () => {
    const [freshness, provenance] = [await pill.getAttribute("data-freshness"), await pill.getAttribute("data-provenance")];
    return freshness === "fresh" && provenance !== "" ? null : `${freshness} ${provenance}`;
  });
  assert.match((await pill.textContent()) ?? "", /fresh.*\d/s);
});

test("the charts move", async () => {
  const first = await pixels("chart-cpu");
  await eventually("the CPU chart to move", async () => ((await pixels("chart-cpu")) !== first ? null : "the same picture"));
});

test("up to here the page has complained of nothing", () => {
  assert.deepEqual(complaints, []);
});

test("the query box answers a selector", async () => {
  await ask("node_load1");
  await eventually("the answer", async () => {
    const text = await textOf("query-result");
    return text.includes("node_load1") && /\d/.test(text) ? null : `"${text}"`;
  });
  await ask("node_load1[1m]");
  await eventually("a chart of the range", async () =>
    (await find("query-result").getAttribute("data-type", { timeout: 5000 }).catch(String)) === "matrix" ? null : "no matrix yet",
  );
});

test("the query box says what is wrong, and is well again after", async () => {
  await ask("sum(node_load1)");
  await eventually("the error", async () => {
    const text = await textOf("query-error");
    return text.includes("selector") ? null : `"${text}"`;
  });
  // What stands in a query is text, never markup.
  await ask('up{a="<img src=x onerror=window.pwned=1>"');
  await eventually("the parse error", async () => ((await textOf("query-error")).includes("parse error") ? null : await textOf("query-error")));
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await ask("node_load1");
  await eventually("the answer", async () => ((await textOf("query-result")).includes("node_load1") ? null : "no answer"));
  const serious = complaints.filter((text) => !text.includes("Failed to load resource"));
  assert.deepEqual(serious, []);
});

test("a server that goes away is said to be away, and is found again when it is back", async () => {
  await tidegate.kill();
  await connectionIs("lost");
  await eventually("the banner", async () => ((await find("banner").isVisible()) ? null : "no banner"));
  await eventually("the numbers to turn stale", async () => {
    const freshness = await find("tile-cpu").getAttribute("data-freshness");
    return freshness === "stale" || freshness === "unavailable" ? null : freshness;
  });
  tidegate = await startTidegate({ port: tidegate.port });
  await connectionIs("live");
  await eventually("fresh numbers", async () => {
    const freshness = await find("tile-cpu").getAttribute("data-freshness");
    return freshness === "fresh" && (await tileNumber("tile-cpu")) !== null ? null : freshness;
  });
  assert.equal(await find("banner").isVisible(), false);
  const serious = complaints.filter((text) => !text.includes("Failed to load resource"));
  assert.deepEqual(serious, []);
});
