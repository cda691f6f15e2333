import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAlerts } from "../src/alerts.js";

const alert = (state: string, name: string, activeAt: string): object => ({
  labels: { alertname: name, instance: "a" },
  annotations: { summary: "so hot" },
  state,
  activeAt,
  value: "5e+00",
});

test("what is firing comes before what is pending, and the newest of each first", () => {
  const alerts = parseAlerts({
    data: {
      alerts: [
        alert("pending", "P", "2026-01-01T00:00:03Z"),
        alert("firing", "Old", "2026-01-01T00:00:01Z"),
        alert("firing", "New", "2026-01-01T00:00:02Z"),
      ],
    },
  });
  assert.deepEqual(alerts.map(({ name }) => name), ["New", "Old", "P"]);
  assert.deepEqual(alerts[0], {
    name: "New",
    state: "firing",
    labels: [["instance", "a"]],
    summary: "so hot",
    value: 5,
    activeAtMs: Date.parse("2026-01-01T00:00:02Z"),
  });
});

test("a body of another shape has no alerts", () => {
  for (const body of [null, 1, "x", [], {}, { data: null }, { data: { alerts: {} } }, { data: { alerts: [null, 1, {}, { labels: [] }] } }]) {
    assert.deepEqual(parseAlerts(body), [], JSON.stringify(body));
  }
  const odd = { labels: { alertname: 5, __proto__: "x" }, state: "firing" };
  const [only] = parseAlerts({ data: { alerts: [odd, { ...odd, state: "inactive" }] } });
  assert.equal(only?.name, "");
  assert.equal(only?.summary, "");
});
