import assert from "node:assert/strict";
import { test } from "node:test";
import { cpuShares, gather, memorySplit } from "../src/derive.js";
import { freshnessNow } from "../src/freshness.js";
import { GAP_S, Table } from "../src/table.js";

const batch = (times: number[], columns: Record<string, (number | null)[]>) => ({
  times,
  columns: new Map(Object.entries(columns)),
});

test("rows that are already there are not taken twice", () => {
  const table = new Table();
  table.append(batch([1, 2], { a: [10, 20] }));
  assert.equal(table.append(batch([1, 2, 3], { a: [0, 0, 30] })), 1);
  assert.deepEqual(table.times, [1, 2, 3]);
  assert.deepEqual(table.columns.get("a"), [10, 20, 30]);
});

test("a gap longer than the limit is broken by an empty row, one at the limit is not", () => {
  const table = new Table();
  table.append(batch([1, 1 + GAP_S], { a: [1, 2] }));
  assert.deepEqual(table.columns.get("a"), [1, 2]);
  table.append(batch([2 + 2 * GAP_S], { a: [3] }));
  assert.deepEqual(table.columns.get("a"), [1, 2, null, 3]);
});

test("a column that appears later is empty before", () => {
  const table = new Table();
  table.append(batch([1], { a: [1] }));
  table.append(batch([2], { b: [2] }));
  assert.deepEqual(table.columns.get("a"), [1, null]);
  assert.deepEqual(table.columns.get("b"), [null, 2]);
  assert.equal(table.latest("a"), null);
  table.trim(2);
  assert.deepEqual([...table.columns.keys()], ["b"]);
});

test("series with one key add up, and NaN is no sample", () => {
  const rows = gather(
    {
      metrics: [{ cpu: "0" }, { cpu: "1" }, { cpu: "2" }],
      offsets: [0, 2, 4, 5],
      timestampsMs: [1000, 2000, 1100, 2000, 1000],
      values: [1, 2, 10, NaN, 100],
    },
    (labels) => (labels["cpu"] === "2" ? null : "all"),
  );
  assert.deepEqual(rows.times, [1, 2]);
  assert.deepEqual(rows.columns.get("all"), [11, 2]);
});

test("CPU shares add up to a hundred and idle is not busy", () => {
  const shares = cpuShares(batch([1], { idle: [1], user: [0.5], iowait: [0.25], softirq: [0.25] }));
  assert.equal(shares.columns.get("user")?.[0], 25);
  assert.equal(shares.columns.get("irq")?.[0], 12.5);
  assert.equal(shares.columns.get("busy")?.[0], 37.5);
  assert.equal(cpuShares(batch([1], { idle: [0] })).columns.get("busy")?.[0], null);
});

test("used, cached and free memory add up to the total", () => {
  const split = memorySplit(batch([1], { MemTotal_bytes: [100], MemAvailable_bytes: [60], MemFree_bytes: [20] }));
  assert.deepEqual(
    ["used", "cached", "free", "share"].map((name) => split.columns.get(name)?.[0]),
    [40, 40, 20, 40],
  );
});

test("data grows stale and unavailable between answers, and never fresher than the collector said", () => {
  const limits = { freshBelowMs: 5000, unavailablePastMs: 30_000 };
  assert.equal(freshnessNow("fresh", 4999, limits), "fresh");
  assert.equal(freshnessNow("fresh", 5000, limits), "stale");
  assert.equal(freshnessNow("fresh", 30_000, limits), "stale");
  assert.equal(freshnessNow("fresh", 30_001, limits), "unavailable");
  assert.equal(freshnessNow("missing", 0, limits), "missing");
});
