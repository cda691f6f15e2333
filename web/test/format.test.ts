import assert from "node:assert/strict";
import { test } from "node:test";
import { age, bytes, bytesPerSecond, exact, percent, plain, say, seriesName, span, took } from "../src/format.js";

test("binary prefixes change just where rounding would print 1024", () => {
  assert.equal(say(0, bytes), "0 B");
  assert.equal(say(1023, bytes), "1023 B");
  assert.equal(say(1024, bytes), "1.00 KiB");
  assert.equal(say(8 * 1024 ** 3, bytes), "8.00 GiB");
});

test("decimal prefixes change just where rounding would print 1000", () => {
  assert.equal(say(999.4, bytesPerSecond), "999 B/s");
  assert.equal(say(999.6, bytesPerSecond), "1.00 kB/s");
  assert.equal(say(1_250_000, bytesPerSecond), "1.25 MB/s");
  assert.equal(say(-1_250_000, bytesPerSecond), "-1.25 MB/s");
});

test("no value is a dash and never a zero", () => {
  assert.equal(say(null, percent), "–");
  assert.equal(say(0, percent), "0.0 %");
  assert.equal(say(99.96, percent), "100 %");
  assert.equal(say(NaN, plain), "NaN");
});

test("ages never run below zero and keep to one unit", () => {
  assert.equal(age(-5), "0.0 s");
  assert.equal(age(420), "0.4 s");
  assert.equal(age(9_949), "9.9 s");
  assert.equal(age(12_300), "12 s");
  assert.equal(age(180_000), "3 min");
});

test("spans show their two largest units", () => {
  assert.equal(span(0), "0 s");
  assert.equal(span(725), "12 min 5 s");
  assert.equal(span(86_400 * 3 + 3600 * 4 + 59), "3 d 4 h");
  assert.equal(span(86_400), "1 d");
});

test("durations of queries switch to seconds at one second", () => {
  assert.equal(took(0.84), "0.84 ms");
  assert.equal(took(999), "999 ms");
  assert.equal(took(1200), "1.20 s");
});

test("special values are written as Prometheus writes them", () => {
  assert.equal(exact(Infinity), "+Inf");
  assert.equal(exact(-Infinity), "-Inf");
  assert.equal(exact(NaN), "NaN");
  assert.equal(exact(0.1), "0.1");
});

test("a series is named in selector form with quotes escaped", () => {
  assert.equal(seriesName({ __name__: "up" }), "up");
  assert.equal(seriesName({ __name__: "up", job: 'a"b', instance: "x" }), 'up{instance="x", job="a\\"b"}');
  assert.equal(seriesName({}), "{}");
});
