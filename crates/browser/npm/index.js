// The package's API over the WebAssembly module: loads it, and turns plain objects into classes.

import init, { Core, perSecond as rates } from "./tidegate.js";

const EVERY_MS_DEFAULT = 15_000;

const SOURCE_OPTIONS = [
  "url", "targets", "push", "collectIntervalMs", "honorLabels", "ttlMs", "ttlMaxMs", "refusalTtlMs", "timeoutMs", "freshBelowMs", "warnPastMs",
  "unavailablePastMs", "probeIntervalMs", "fetchIntervalMs", "idleAfterMs", "instantStepMs", "align", "retriesMax", "retryBackoffMs",
  "retryBackoffMaxMs", "breakerFailuresMax", "breakerOpenMs", "breakerOpenMaxMs",
];
const CREATE_OPTIONS = ["sources", "cacheBytesMax", "local", "alerts", "alertIntervalMs", "seed", "onEvent"];
const METRIC_OPTIONS = ["seriesMax", "valuesPerLabelMax", "pointsMax", "ageMaxMs", "intervalMs"];
const LOCAL_OPTIONS = [
  "seriesMax", "seriesPerMetricMax", "labelsPerSeriesMax", "valuesPerLabelMax", "pointsMax", "bytesMax", "ageMaxMs",
  "expireAfterMs", "lookbackMs", "metrics",
];
const ALERT_OPTIONS = ["name", "selector", "threshold", "rateOfChange", "band", "forMs", "keepFiringForMs", "labels", "annotations"];
const CONDITION_OPTIONS = {
  threshold: ["op", "value", "statistic", "windowMs"],
  rateOfChange: ["op", "value", "windowMs"],
  band: ["deviations", "memorySamples", "samplesMin", "distanceMin", "side"],
};
const QUERY_OPTIONS = ["source", "sources", "timeMs", "startMs", "endMs", "stepMs", "maxAgeMs", "allowStale", "maxStaleMs", "timeoutMs"];
const SAMPLE_OPTIONS = ["name", "labels", "value", "timestampMs"];
const FAMILY_OPTIONS = ["name", "type", "unit", "help"];
const AGGREGATE_OPTIONS = ["select", "windowMs", "by", "without", "statistics", "timeMs", "startMs", "endMs", "stepMs"];
const INVALIDATE_OPTIONS = ["key", "prefix", "source", "template", "all"];

export class TidegateError extends Error {
  constructor(kind, message, source, status) {
    super(message);
    this.name = "TidegateError";
    this.kind = kind;
    if (source !== undefined) this.source = source;
    if (status !== undefined) this.status = status;
  }
}

export class Tidegate {
  #core;
  #watches = new Set();

  constructor(core) {
    if (!(core instanceof Core)) throw new TypeError("use Tidegate.create()");
    this.#core = core;
  }

  static async create(options) {
    const plain = checked(options);
    await loaded();
    try {
      return new Tidegate(new Core(plain, options.onEvent));
    } catch (error) {
      throw tidegateError(error);
    }
  }

  async query(expr, options) {
    known(options, QUERY_OPTIONS, "query");
    try {
      return await this.#core.query(String(expr), options);
    } catch (error) {
      throw tidegateError(error);
    }
  }

  watch(expr, options, listener) {
    const { everyMs = EVERY_MS_DEFAULT, ...ask } = options ?? {};
    if (!(everyMs > 0)) throw new TidegateError("config", `everyMs must be above 0, not ${everyMs}`);
    if (typeof listener !== "function") throw new TidegateError("config", "watch needs a listener");
    known(ask, QUERY_OPTIONS, "watch");
    const watch = new Repeater(() => this.query(expr, ask), everyMs, listener, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    watch.start();
    return { stop: () => watch.stop() };
  }

  async record(source, samples, families = []) {
    for (const [options, names, where] of [[samples, SAMPLE_OPTIONS, "sample"], [families, FAMILY_OPTIONS, "family"]]) {
      if (!Array.isArray(options)) throw new TidegateError("config", `record needs an array of ${where === "sample" ? "samples" : "families"}`);
      options.forEach((option, nth) => known(option, names, `${where} ${nth}`));
    }
    try {
      return await this.#core.record(String(source), { samples, families });
    } catch (error) {
      throw tidegateError(error);
    }
  }

  async aggregate(options) {
    known(options, AGGREGATE_OPTIONS, "aggregate");
    const { select, statistics, ...rest } = options ?? {};
    try {
      return await this.#core.aggregate({ ...rest, select: listed(select), statistics: listed(statistics) });
    } catch (error) {
      throw tidegateError(error);
    }
  }

  async invalidate(what) {
    known(what, INVALIDATE_OPTIONS, "invalidate");
    try {
      return await this.#core.invalidate(what ?? {});
    } catch (error) {
      throw tidegateError(error);
    }
  }

  async untrack(key) {
    try {
      return await this.#core.untrack(String(key));
    } catch (error) {
      throw tidegateError(error);
    }
  }

  close() {
    for (const watch of [...this.#watches]) watch.stop();
    this.#core.close();
  }
}

export function perSecond(matrix) {
  return rates(matrix.offsets, matrix.timestampsMs, matrix.values);
}

/** Asks again and again until it is stopped. */
class Repeater {
  #ask;
  #everyMs;
  #listener;
  #onStop;
  #timer;
  #stopped = false;

  constructor(ask, everyMs, listener, onStop) {
    this.#ask = ask;
    this.#everyMs = everyMs;
    this.#listener = listener;
    this.#onStop = onStop;
  }

  async start() {
    const began = performance.now();
    const outcome = await this.#ask().catch((error) => error);
    if (this.#stopped) return;
    // Set before the listener runs: should it throw, the watch goes on and the runtime reports the error.
    const leftMs = Math.max(0, this.#everyMs - (performance.now() - began));
    this.#timer = setTimeout(() => this.start(), leftMs);
    this.#listener(outcome);
  }

  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#onStop();
  }
}

/** The options as the module takes them: sources as pairs, in the order in which they were written. */
function checked(options) {
  if (options === null || typeof options !== "object" || options.sources === null || typeof options.sources !== "object") {
    throw new TidegateError("config", "create needs an object with sources: { name: url }");
  }
  known(options, CREATE_OPTIONS, "create");
  if (options.onEvent !== undefined && typeof options.onEvent !== "function") {
    throw new TidegateError("config", "onEvent must be a function");
  }
  const sources = Object.entries(options.sources).map(([name, source]) => {
    if (typeof source === "string") return [name, { url: source }];
    known(source, SOURCE_OPTIONS, `source ${name}`);
    if (source?.targets !== undefined) return [name, { ...source, targets: targetPairs(name, source.targets) }];
    if (source?.push === true) return [name, source];
    if (typeof source?.url !== "string") throw new TidegateError("config", `source ${name} needs a url`);
    return [name, source];
  });
  if (options.alerts !== undefined) knownAlerts(options.alerts);
  const { cacheBytesMax, alerts, alertIntervalMs, seed } = options;
  return { sources, cacheBytesMax, local: bounds(options.local), alerts, alertIntervalMs, seed };
}

/** The bounds of own series, those of single metrics as pairs, in the order in which they were written. */
function bounds(local) {
  if (local === undefined) return undefined;
  known(local, LOCAL_OPTIONS, "local");
  const metrics = Object.entries(local?.metrics ?? {});
  for (const [metric, options] of metrics) known(options, METRIC_OPTIONS, `local: metric ${metric}`);
  return { ...local, metrics };
}

/** Targets as pairs of name and URL, in the order in which they were written. */
function targetPairs(name, targets) {
  const pairs = targets !== null && typeof targets === "object" ? Object.entries(targets) : [];
  if (pairs.length === 0 || pairs.some(([, url]) => typeof url !== "string")) {
    throw new TidegateError("config", `source ${name} needs targets: { name: url }`);
  }
  return pairs;
}

/** Refuses what is no list of alert rules. */
function knownAlerts(alerts) {
  if (!Array.isArray(alerts)) throw new TidegateError("config", "alerts must be an array of rules");
  for (const alert of alerts) {
    const where = `alert ${alert?.name}`;
    known(alert, ALERT_OPTIONS, where);
    for (const [condition, names] of Object.entries(CONDITION_OPTIONS)) known(alert?.[condition], names, `${where}: ${condition}`);
  }
}

/** One text or several, as several. */
function listed(texts) {
  if (texts === undefined) return [];
  return Array.isArray(texts) ? texts : [texts];
}

/** Refuses an option that nobody reads: it is a slip of the pen. */
function known(options, names, where) {
  for (const name of Object.keys(options ?? {})) {
    if (!names.includes(name)) {
      throw new TidegateError("config", `${where} has no option ${JSON.stringify(name)}; there are ${names.join(", ")}`);
    }
  }
}

function tidegateError(error) {
  if (typeof error?.kind !== "string") return error;
  return new TidegateError(error.kind, error.message, error.source, error.status);
}

let loading;

/** Loads the module once; a failed attempt is made again by the next caller. */
function loaded() {
  loading ??= load().catch((error) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load() {
  // In this very form bundlers recognise the file and bring it along.
  const url = new URL("tidegate_bg.wasm", import.meta.url);
  if (url.protocol !== "file:") return init({ module_or_path: url });
  // Node's fetch does not read files. The name stands apart so that no bundler looks for it.
  const files = "node:fs/promises";
  const { readFile } = await import(/* @vite-ignore */ files);
  return init({ module_or_path: await readFile(url) });
}
