import assert from "node:assert/strict";
import { test } from "node:test";
import { History, type Store } from "../src/history.js";
import { machineSource, parseSources } from "../src/sources.js";
import { suggest, wordAt } from "../src/suggest.js";

function memory(initial: string | null = null): Store & { kept: string | null } {
  return {
    kept: initial,
    getItem() {
      return this.kept;
    },
    setItem(_, value) {
      this.kept = value;
    },
  };
}

test("the word before the caret is completed, and none inside a string", () => {
  assert.deepEqual(wordAt("sum(node_lo", 11), { text: "node_lo", start: 4, end: 11 });
  assert.equal(wordAt("n", 1), null);
  assert.equal(wordAt('up{job="node', 12), null);
  assert.equal(wordAt('up{job="a\\"node', 15), null);
  assert.equal(wordAt("node_load", 4), null);
  assert.equal(wordAt('up{job="a"} + node', 18)?.text, "node");
});

test("names that begin with the word come before names that contain it", () => {
  assert.deepEqual(suggest("load", ["node_load1", "load_total", "up", "load"]), ["load_total", "node_load1"]);
});

test("the arrow keys walk through history and back to the draft", () => {
  const history = new History(memory());
  history.add("a");
  history.add("b");
  assert.equal(history.older("draft"), "b");
  assert.equal(history.older(""), "a");
  assert.equal(history.older(""), null);
  assert.equal(history.newer(), "b");
  assert.equal(history.newer(), "draft");
  assert.equal(history.newer(), null);
});

test("a question asked twice is kept once, and history outlives the page", () => {
  const store = memory();
  const history = new History(store);
  for (const question of ["a", "b", "a"]) history.add(question);
  assert.equal(store.kept, '["b","a"]');
  assert.equal(new History(store).older(""), "a");
});

test("a broken store is an empty history", () => {
  assert.equal(new History(memory("{")).older(""), null);
  assert.equal(new History(memory('{"a":1}')).older(""), null);
  assert.equal(new History(memory('[1,"up"]')).older(""), "up");
});

test("a list of sources keeps what it can read and names each one's own address", () => {
  const list = parseSources(
    {
      sources: [
        { name: "node", kind: "local", health: "up" },
        { name: "a b", kind: "prometheus", health: "down", last_error: { at_ms: 1, message: "refused" } },
        { kind: "prometheus" },
        null,
      ],
    },
    "http://h",
  );
  assert.deepEqual(
    list.map(({ name, url, lastError }) => [name, url, lastError]),
    [
      ["node", "http://h/source/node", null],
      ["a b", "http://h/source/a%20b", "refused"],
    ],
  );
  assert.deepEqual(parseSources("x", "http://h"), []);
});

test("the machine's own source is node, else the local one, else the server's default", () => {
  const [node, local] = parseSources({ sources: [{ name: "node", kind: "scrape" }, { name: "x", kind: "local" }] }, "http://h");
  assert.ok(node !== undefined && local !== undefined);
  assert.equal(machineSource([local, node], "http://h"), node);
  assert.equal(machineSource([local], "http://h"), local);
  assert.equal(machineSource([], "http://h").url, "http://h");
});
