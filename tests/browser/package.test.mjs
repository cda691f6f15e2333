// The npm package in Node, against a small server that speaks Prometheus' JSON.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { artefact } from "./support/paths.mjs";

const index = pathToFileURL(join(artefact("npm", "npm"), "index.js")).href;
const { Tidegate, TidegateError, perSecond } = await import(index);

/** Whole seconds, so that they survive Prometheus' notation exactly. */
const NOW_S = Math.floor(Date.now() / 1000);

const VECTOR = success("vector", [
  { metric: { __name__: "up", job: "a" }, value: [NOW_S, "1"] },
  { metric: { __name__: "up", job: "b", __proto__x: "y" }, value: [NOW_S - 5, "NaN"] },
]);
const MATRIX = success("matrix", [
  { metric: { cpu: "0" }, values: [[NOW_S - 2, "10"], [NOW_S - 1, "30"], [NOW_S, "5"]] },
  { metric: { cpu: "1" }, values: [] },
  { metric: { cpu: "2" }, values: [[NOW_S, "7.5"]] },
]);
const HISTOGRAM = { count: "3", sum: "4.5", buckets: [[0, "1", "2", "3"]] };

/** What the server answers to a query, by its expression. */
const ANSWERS = {
  up: (response) => json(response, 200, VECTOR),
  "up[1m]": (response) => json(response, 200, MATRIX),
  "scalar(x)": (response) => json(response, 200, success("scalar", [NOW_S, "-Inf"])),
  '"words"': (response) => json(response, 200, success("string", [NOW_S, "words"])),
  latency: (response) =>
    json(response, 200, success("vector", [{ metric: { __name__: "latency" }, histogram: [NOW_S, HISTOGRAM] }])),
  proto: (response) =>
    json(response, 200, '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__proto__":"p"},"value":[1,"1"]}]}}'),
  warned: (response) => json(response, 200, { ...success("vector", []), warnings: ["partial"], infos: ["counter?"] }),
  packed: (response) => {
    response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
    response.end(gzipSync(JSON.stringify(VECTOR)));
  },
  dear: (response) => json(response, 422, { status: "error", errorType: "execution", error: "too many samples" }),
  nonsense: (response) => json(response, 200, "<html>"),
  cut: (response) => {
    response.writeHead(200, { "content-length": 100 });
    response.write('{"status":', () => response.destroy());
  },
  moved: (response) => {
    response.writeHead(302, { location: "/elsewhere" });
    response.end();
  },
  never: () => {},
  flaky: (response, nth) => {
    if (nth > 1) return json(response, 200, VECTOR);
    response.writeHead(503, { "retry-after": "1" });
    response.end();
  },
};

/** What the server says under paths that are no API. */
const TEXTS = { "/metrics": "up 1\nother 2\n" };

function success(resultType, result) {
  return { status: "success", data: { resultType, result } };
}

function json(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

let server;
let url;
/** Every request, in order. */
const heard = [];

before(async () => {
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const target = new URL(request.url, "http://server");
    const form = request.method === "POST" ? new URLSearchParams(body) : target.searchParams;
    const entry = { path: target.pathname, query: form.get("query"), headers: request.headers, gone: false };
    response.on("close", () => (entry.gone = !response.writableFinished));
    heard.push(entry);
    const answer = ANSWERS[entry.query];
    if (entry.path in TEXTS) response.end(TEXTS[entry.path]);
    else if (answer === undefined) json(response, 200, success("vector", []));
    else answer(response, fetches(entry.query).length);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  url = `http://127.0.0.1:${server.address().port}`;
});

after(() => {
  server.close();
  server.closeAllConnections();
});

/** Runs `use` with a collector of its own, and closes it whatever happens. */
async function withTidegate(options, use) {
  const tidegate = await Tidegate.create({ sources: { prom: url }, ...options });
  try {
    return await use(tidegate);
  } finally {
    tidegate.close();
  }
}

async function failure(promise) {
  const error = await promise.then(
    (answer) => assert.fail(`an answer: ${JSON.stringify(answer)}`),
    (error) => error,
  );
  assert.ok(error instanceof TidegateError && error instanceof Error, String(error?.stack ?? error));
  assert.equal(error.name, "TidegateError");
  return error;
}

const fetches = (query) => heard.filter((entry) => entry.query === query);

async function until(what, condition) {
  for (let tries = 0; tries < 1_000; tries += 1) {
    if (condition()) return;
    await new Promise((wake) => setTimeout(wake, 10));
  }
  assert.fail(`in vain waited for: ${what}`);
}

test("what is recorded is asked over windows, by statistic and by group", async () => {
  const tidegate = await Tidegate.create({ sources: { page: { push: true } } });
  try {
    const nowMs = Date.now();
    const samples = [1, 2, 3, 4].map((value, nth) => ({
      name: "frame_seconds", labels: { view: nth % 2 ? "map" : "list" }, value, timestampMs: nowMs - 4_000 + nth,
    }));
    const family = { name: "frame_seconds", type: "gauge", unit: "seconds", help: "How long a frame takes." };
    assert.deepEqual(await tidegate.record("page", samples, [family]), { accepted: 4, refused: [] });
    const late = await tidegate.record("page", [{ name: "frame_seconds", labels: { view: "map" }, value: 9, timestampMs: 5 }]);
    assert.equal(late.accepted, 0);
    assert.equal(late.refused[0].reason, "out-of-order");
    const groups = await tidegate.aggregate({
      select: "frame_seconds", windowMs: 60_000, by: ["view"], statistics: ["avg", "p50", "rate"], timeMs: nowMs,
    });
    assert.deepEqual(groups.map(({ labels, values }) => [labels, values.avg, values.p50]), [
      [{ view: "list" }, [2], [2]], [{ view: "map" }, [3], [3]],
    ]);
    assert.deepEqual(groups[0].endsMs, [nowMs]);
    const single = await tidegate.aggregate({ select: ['frame_seconds{view="map"}'], windowMs: 3_999, statistics: "rate", timeMs: nowMs });
    assert.deepEqual(single[0].values.rate, [null], "one sample has no rate");
    assert.equal(single[0].labels.__name__, "frame_seconds");
    const answer = await tidegate.query('frame_seconds{view="map"}', { source: "page" });
    assert.deepEqual([...answer.values], [4]);
    for (const [call, kind] of [
      [() => tidegate.record("nobody", []), "bad-data"],
      [() => tidegate.record("page", [{ name: "a b", value: 1 }]), "config"],
      [() => tidegate.record("page", [{ name: "a", valeu: 1 }]), "config"],
      [() => tidegate.record("page", { name: "a", value: 1 }), "config"],
      [() => tidegate.aggregate({ windowMs: 1_000, statistics: "mean" }), "config"],
      [() => tidegate.aggregate({ windowMs: 1_000, statistics: "avg", select: "{" }), "bad-data"],
      [() => tidegate.aggregate({ windowMs: 0, statistics: "avg" }), "bad-data"],
      [() => tidegate.aggregate({ windowMs: 1_000, statistics: "avg", by: ["a-b"] }), "bad-data"],
      [() => Tidegate.create({ sources: { both: { push: true, url: "http://h" } } }), "config"],
    ]) {
      await assert.rejects(call, (error) => error instanceof TidegateError && error.kind === kind, String(call));
    }
  } finally {
    tidegate.close();
  }
});

test("a vector comes as typed arrays, with its age and how it was come by", () =>
  withTidegate({}, async (tidegate) => {
    const answer = await tidegate.query("up");
    assert.equal(answer.type, "vector");
    assert.deepEqual(answer.metrics, [
      { __name__: "up", job: "a" },
      { __name__: "up", job: "b", __proto__x: "y" },
    ]);
    assert.deepEqual(answer.timestampsMs, Float64Array.of(NOW_S * 1000, (NOW_S - 5) * 1000));
    assert.deepEqual(answer.values, Float64Array.of(1, NaN));
    assert.equal(answer.histograms, undefined);
    assert.equal(answer.asOfMs, NOW_S * 1000);
    assert.ok(Math.abs(answer.fetchedAtMs - Date.now()) < 60_000);
    assert.ok(answer.ageMs >= 0 && answer.ageMs < 60_000);
    assert.deepEqual([answer.freshness, answer.provenance, answer.source], ["fresh", "miss", "prom"]);
    assert.equal(typeof answer.key, "string");
    assert.ok(answer.ttlLeftMs > 0 && answer.ttlLeftMs <= 30_000);
    assert.ok(!("reason" in answer));
    assert.deepEqual([answer.warnings, answer.infos], [[], []]);
  }));

test("the second ask is a hit, and asks at once share one fetch", () =>
  withTidegate({}, async (tidegate) => {
    const count = fetches("up").length;
    const answers = await Promise.all(Array.from({ length: 5 }, () => tidegate.query("up")));
    assert.deepEqual(answers.map((answer) => answer.provenance).sort(), [...Array(4).fill("coalesced"), "miss"]);
    assert.equal((await tidegate.query("up")).provenance, "hit");
    assert.equal(fetches("up").length, count + 1);
  }));

test("a matrix comes in columns, and its rates too", () =>
  withTidegate({}, async (tidegate) => {
    const answer = await tidegate.query("up[1m]");
    assert.equal(answer.type, "matrix");
    assert.deepEqual(answer.metrics, [{ cpu: "0" }, { cpu: "1" }, { cpu: "2" }]);
    assert.deepEqual(answer.offsets, Uint32Array.of(0, 3, 3, 4));
    const ms = [NOW_S - 2, NOW_S - 1, NOW_S, NOW_S].map((s) => s * 1000);
    assert.deepEqual(answer.timestampsMs, Float64Array.from(ms));
    assert.deepEqual(answer.values, Float64Array.of(10, 30, 5, 7.5));
    assert.deepEqual(perSecond(answer), {
      offsets: Uint32Array.of(0, 2, 2, 2),
      timestampsMs: Float64Array.of(ms[1], ms[2]),
      values: Float64Array.of(20, 5),
    });
  }));

test("scalars, strings, histograms and warnings keep what they say", () =>
  withTidegate({}, async (tidegate) => {
    const scalar = await tidegate.query("scalar(x)");
    assert.deepEqual([scalar.type, scalar.value, scalar.timestampMs], ["scalar", -Infinity, NOW_S * 1000]);
    const string = await tidegate.query('"words"');
    assert.deepEqual([string.type, string.value, string.timestampMs], ["string", "words", NOW_S * 1000]);
    const latency = await tidegate.query("latency");
    assert.deepEqual(latency.values, Float64Array.of(NaN));
    assert.deepEqual(latency.timestampsMs, Float64Array.of(NOW_S * 1000));
    assert.deepEqual(latency.histograms, [{ series: 0, timestampMs: NOW_S * 1000, histogram: HISTOGRAM }]);
    const warned = await tidegate.query("warned");
    assert.deepEqual([warned.warnings, warned.infos], [["partial"], ["counter?"]]);
    assert.deepEqual(warned.values, new Float64Array());
  }));

test("a label may be called __proto__", () =>
  withTidegate({}, async (tidegate) => {
    const { metrics } = await tidegate.query("proto");
    assert.deepEqual(Object.entries(metrics[0]), [["__proto__", "p"]]);
    assert.equal(Object.getPrototypeOf(metrics[0]), Object.prototype);
  }));

test("a compressed body and a path in front are no matter", () =>
  withTidegate({ sources: { prom: `${url}/prom/` } }, async (tidegate) => {
    assert.equal((await tidegate.query("packed")).values[0], 1);
    assert.equal(fetches("packed").at(-1).path, "/prom/api/v1/query");
  }));

test("credentials go to the source and stand in no error", async () => {
  const secret = url.replace("//", "//us%65r:p%40ss%C3%A4@");
  await withTidegate({ sources: { prom: secret } }, async (tidegate) => {
    await tidegate.query("authorised");
    const { authorization } = fetches("authorised").at(-1).headers;
    assert.equal(authorization, `Basic ${Buffer.from("user:p@ssä").toString("base64")}`);
    const error = await failure(tidegate.query("cut"));
    assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, /p@ss|p%40ss/);
  });
});

test("what the source refuses is passed on in its words", () =>
  withTidegate({}, async (tidegate) => {
    const error = await failure(tidegate.query("dear"));
    assert.deepEqual([error.kind, error.source, error.status], ["execution", "prom", 422]);
    assert.match(error.message, /too many samples/);
  }));

test("a source that fails is unavailable, and the message says how", async () => {
  const once = (url) => ({ url, retriesMax: 0 });
  await withTidegate({ sources: { prom: once(url), dead: once("http://127.0.0.1:1") } }, async (tidegate) => {
    for (const [query, words] of [
      ["nonsense", /did not answer as Prometheus/],
      ["cut", /connection lost/],
      ["moved", /answered 302, and redirects are not followed/],
    ]) {
      const error = await failure(tidegate.query(query));
      assert.deepEqual([error.kind, error.source], ["unavailable", "prom"], error.message);
      assert.match(error.message, words);
    }
    const error = await failure(tidegate.query("up", { source: "dead" }));
    assert.deepEqual([error.kind, error.source], ["unavailable", "dead"], error.message);
    assert.match(error.message, /cannot connect/);
  });
});

test("a source that never answers is a timeout, and the request is given up", () =>
  withTidegate({}, async (tidegate) => {
    const error = await failure(tidegate.query("never", { timeoutMs: 50 }));
    assert.deepEqual([error.kind, error.source], ["timeout", "prom"], error.message);
    await until("the request to end", () => fetches("never").at(-1).gone);
  }));

test("the asker's mistakes are named", () =>
  withTidegate({}, async (tidegate) => {
    const unknown = await failure(tidegate.query("up", { source: "nope" }));
    assert.equal(unknown.kind, "unknown-source");
    assert.match(unknown.message, /nope.*prom/);
    const slip = await failure(tidegate.query("up", { maxAgeMS: 5 }));
    assert.equal(slip.kind, "config");
    assert.match(slip.message, /"maxAgeMS".*maxAgeMs/);
    assert.equal((await failure(tidegate.query("up", { timeoutMs: -1 }))).kind, "config");
    assert.equal((await failure(tidegate.query("up", { timeMs: "noon" }))).kind, "config");
  }));

test("wrong options are refused before anything is fetched", async () => {
  const wrong = [
    [undefined, /sources/],
    [{ sources: { prom: url }, cacheBytes: 1 }, /"cacheBytes"/],
    [{ sources: { prom: { url, ttlMS: 1 } } }, /source prom.*"ttlMS"/],
    [{ sources: { prom: {} } }, /prom needs a url/],
    [{ sources: { pods: { targets: {} } } }, /pods needs targets/],
    [{ sources: { pods: { url, targets: { a: url } } } }, /one of a url, targets and push/],
    [{ sources: { pods: { targets: { a: "http://user:secret@" } } } }, /pods, target "a".*not a URL/],
    [{ sources: { prom: { url, retriesMax: -1 } } }, /retriesMax/],
    [{ sources: { prom: "prometheus:9090" } }, /prom.*http/],
    [{ sources: { prom: "http://user:secret@" } }, /prom.*not a URL/],
    [{ sources: { prom: `${url}/?token=secret` } }, /prom.*'\?'/],
    [{ sources: { "a b": url } }, /"a b"/],
    [{ sources: { local: url } }, /Tidegate's own/],
    [{ sources: { prom: { url, timeoutMs: 0 } } }, /timeout is zero/],
    [{ sources: { prom: { url, freshBelowMs: 1e9 } } }, /in order/],
    [{ sources: { prom: url }, cacheBytesMax: -1 }, /cacheBytesMax/],
    [{ sources: { prom: url }, seed: 0.5 }, /seed must be a whole number/],
    [{ sources: { prom: url }, onEvent: 5 }, /onEvent/],
  ];
  for (const [options, words] of wrong) {
    const error = await failure(Tidegate.create(options));
    assert.equal(error.kind, "config");
    assert.match(error.message, words);
    assert.doesNotMatch(error.message, /secret/);
  }
});

test("several sources are asked at once, and one that fails is a warning", () =>
  withTidegate({ sources: { east: url, west: { url, retriesMax: 0 } } }, async (tidegate) => {
    const answer = await tidegate.query("up", { sources: ["east", "west"] });
    assert.deepEqual(answer.metrics.map(({ job, source }) => `${job} ${source}`), ["a east", "b east", "a west", "b west"]);
    assert.equal((await tidegate.query("up", { sources: "west" })).provenance, "hit");
    const error = await failure(tidegate.query("up", { source: "east", sources: ["west"] }));
    assert.match(error.message, /either source or sources/);
  }));

test("targets are scraped, and their series told apart", () => {
  const targets = { a: `${url}/metrics`, b: `${url}/metrics?module=x` };
  return withTidegate({ sources: { pods: { targets } } }, async (tidegate) => {
    const answer = await tidegate.query("up");
    assert.deepEqual(answer.metrics, [{ __name__: "up", target: "a" }, { __name__: "up", target: "b" }]);
    assert.deepEqual(answer.values, Float64Array.of(1, 1));
    const { headers } = heard.findLast((entry) => entry.path === "/metrics");
    assert.equal(headers.accept, "text/plain;version=0.0.4");
  });
});

test("answers are forgotten on demand", () =>
  withTidegate({}, async (tidegate) => {
    const { key } = await tidegate.query("up");
    assert.equal(await tidegate.invalidate({ key }), 1);
    assert.equal((await tidegate.query("up")).provenance, "miss");
    assert.equal(await tidegate.invalidate({ source: "elsewhere" }), 0);
    assert.equal(await tidegate.invalidate({ all: true }), 1);
    assert.equal((await failure(tidegate.invalidate({}))).kind, "config");
    assert.equal((await failure(tidegate.invalidate({ keys: [key] }))).kind, "config");
  }));

test("what is read is kept warm until it is untracked", () =>
  withTidegate({ sources: { prom: { url, ttlMs: 10, fetchIntervalMs: 20 } } }, async (tidegate) => {
    const { key } = await tidegate.query("warm");
    await until("another fetch for the same ask", () => fetches("warm").length >= 2);
    assert.equal(await tidegate.untrack(key), true);
    assert.equal(await tidegate.untrack(key), false);
    const { length } = fetches("warm");
    // The collector refreshes no key more often than once a second.
    await new Promise((wake) => setTimeout(wake, 1_200));
    assert.equal(fetches("warm").length, length);
  }));

test("a source in trouble is asked again, when it says", () =>
  withTidegate({ sources: { prom: { url, retryBackoffMs: 1 } } }, async (tidegate) => {
    const began = performance.now();
    assert.equal((await tidegate.query("flaky")).values[0], 1);
    assert.ok(performance.now() - began >= 990, "Retry-After");
    assert.equal(fetches("flaky").length, 2);
  }));

test("events reach the listener, and one that throws does no harm", async () => {
  const events = [];
  const onEvent = (event) => {
    events.push(event);
    throw new Error("a listener's own trouble");
  };
  await withTidegate({ onEvent }, async (tidegate) => {
    await failure(tidegate.query("nonsense"));
    await tidegate.query("up");
  });
  assert.ok(events.length > 0);
  for (const event of events) {
    assert.ok(["debug", "info", "warn"].includes(event.level));
    assert.match(event.name, /^[a-z-]+$/);
    assert.equal(event.source, "prom");
    assert.equal(typeof event.detail, "string");
  }
});

test("a watch asks again and again until it is stopped", () =>
  withTidegate({ sources: { prom: { url, ttlMs: 0 } } }, async (tidegate) => {
    const outcomes = [];
    const watch = tidegate.watch("watched", { everyMs: 20 }, (outcome) => outcomes.push(outcome));
    const broken = tidegate.watch("dear", { everyMs: 20 }, (outcome) => outcomes.push(outcome));
    await until("three answers and three errors", () => {
      const errors = outcomes.filter((outcome) => outcome instanceof TidegateError).length;
      return errors >= 3 && outcomes.length - errors >= 3;
    });
    watch.stop();
    broken.stop();
    broken.stop();
    const { length } = outcomes;
    await new Promise((wake) => setTimeout(wake, 100));
    assert.equal(outcomes.length, length);
    assert.throws(() => tidegate.watch("up", { everyMs: 0 }, () => {}), TidegateError);
    assert.throws(() => tidegate.watch("up", {}), TidegateError);
  }));

test("closed, it rejects what waits and what comes, and gives up its requests", async () => {
  const tidegate = await Tidegate.create({ sources: { prom: url } });
  let told = 0;
  tidegate.watch("watched until closed", { everyMs: 10 }, () => (told += 1));
  await until("the watch to be told", () => told > 0);
  const pending = failure(tidegate.query("never"));
  await until("the request to arrive", () => fetches("never").some((entry) => !entry.gone));
  tidegate.close();
  const before = told;
  assert.equal((await pending).kind, "closed");
  assert.equal((await failure(tidegate.query("up"))).kind, "closed");
  await until("the request to end", () => fetches("never").every((entry) => entry.gone));
  await new Promise((wake) => setTimeout(wake, 50));
  assert.equal(told, before);
  tidegate.close();
});
