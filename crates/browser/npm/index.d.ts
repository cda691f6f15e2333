/** Answers over metrics: what to fetch, what is fresh enough, what may come from memory. */

/** What age makes of data; `missing` means there never was any, which is not the same as 0. */
export type Freshness = "fresh" | "stale" | "unavailable" | "missing";

/** How an answer was come by. */
export type Provenance = "hit" | "stale" | "miss" | "partial" | "coalesced" | "stale-on-error";

/** Label names and values of one series; the metric's name stands under `__name__`. */
export type Labels = Record<string, string>;

/** A source: with `url` one that speaks the Prometheus HTTP API, with `targets` one that is scraped, with `push` one that is told. */
export interface SourceOptions {
  /**
   * Base URL; `/api/v1/query` is appended to its path. In a page or worker it may be relative to that. A user and
   * password in it are sent as basic authorization, and appear in no error or event.
   */
  url?: string;
  /**
   * In place of `url`: the URLs of texts in Prometheus' exposition format, by name. Asked for a selector, all are
   * fetched, at most 10 at once, and each series gets its target's name as label `target`.
   */
  targets?: Record<string, string>;
  /** In place of `url` and `targets`: samples are given to it by `record`, and it answers selectors from them. */
  push?: boolean;
  /**
   * With `targets`: how often each one's samples are added to the series of the source `local`, with the labels `job`
   * (the source's name) and `instance` (the target's), beside `up` and `scrape_duration_seconds`; 0 never does, else
   * 100 or more. Default 0.
   */
  collectIntervalMs?: number;
  /** Whether labels `job` and `instance` of a text stay there; else they become `exported_job` and `exported_instance`. Default false. */
  honorLabels?: boolean;
  /** How long an answer counts as a hit. Default 30,000. */
  ttlMs?: number;
  /** Up to where the ttl widens while values stand still. Default: it stays as it is. */
  ttlMaxMs?: number;
  /** How long a refusal, such as of a wrong query, is remembered; 0 remembers none. Default 5,000. */
  refusalTtlMs?: number;
  /** How long a fetch may take. Default 10,000. */
  timeoutMs?: number;
  /** Data below this age is fresh. Default 60,000. */
  freshBelowMs?: number;
  /** A warning event is due past this age. Default 120,000. */
  warnPastMs?: number;
  /** Data past this age is unavailable. Default 300,000. */
  unavailablePastMs?: number;
  /** Silence after which the source is asked whether it is there; 0 never asks. Default 0. */
  probeIntervalMs?: number;
  /**
   * How often what was asked is fetched again in the background, so that the next ask need not wait; 0 never does,
   * and it is once a second at the most. It ends `idleAfterMs` after the last ask, by `untrack` or by `close`. Default 30,000.
   */
  fetchIntervalMs?: number;
  /** How long after the last ask. Default 300,000. */
  idleAfterMs?: number;
  /**
   * To whole multiples of what `timeMs` is rounded down while that is about the last minutes, so that asks for the
   * current second are not all new; 0 leaves it as it is. Default 0.
   */
  instantStepMs?: number;
  /** Whether those fetches fall just after the source's data can be new, which is learned. Default false. */
  align?: boolean;
  /** Tries after the first, for what the network or a source in trouble does; 0 never retries. Default 3. */
  retriesMax?: number;
  /** The longest wait before the first retry; doubles with every one. All lies within `timeoutMs`. Default 1,000. */
  retryBackoffMs?: number;
  /** No wait is longer, whatever the source asks for. Default 30,000. */
  retryBackoffMaxMs?: number;
  /** Failures in a row after which the source is left alone for a while; 0 never leaves it alone. Default 5. */
  breakerFailuresMax?: number;
  /** For how long at first; doubles as long as it keeps failing. Default 10,000. */
  breakerOpenMs?: number;
  /** And at the longest. Default 120,000. */
  breakerOpenMaxMs?: number;
}

/** Something worth a line in a log. */
export interface TidegateEvent {
  level: "debug" | "info" | "warn";
  /** What happened, in one hyphenated phrase. */
  name: string;
  source: string;
  key?: string;
  detail: string;
}

/** What is otherwise for some of Tidegate's own metrics. What is left out is as for all. */
export interface MetricOptions {
  /** How many series it may have. */
  seriesMax?: number;
  /** How many values each of its labels may have. */
  valuesPerLabelMax?: number;
  /** How many points each of its series keeps. */
  pointsMax?: number;
  /** How old they may be; a series whose newest is older goes. */
  ageMaxMs?: number;
  /** How often each of its series is expected: one that misses more than five has ended. */
  intervalMs?: number;
}

/** The bounds of Tidegate's own series. Near one there is an event, at it what is new is refused, and an event says why. */
export interface LocalOptions {
  /** How many series. Default 10,000. */
  seriesMax?: number;
  /** How many of one metric. Default 5,000. */
  seriesPerMetricMax?: number;
  /** How many labels a series may have, its name included. Default 64. */
  labelsPerSeriesMax?: number;
  /** How many values one label of one metric may have. Default 2,000. */
  valuesPerLabelMax?: number;
  /** How many points each series keeps. Default 5,760. */
  pointsMax?: number;
  /** How many bytes the samples of all may take. Default 64 MiB. */
  bytesMax?: number;
  /** How old points may be, beside the newest of their series. Default: as old as they get. */
  ageMaxMs?: number;
  /** How long a series that no longer arrives is kept. Default 86,400,000. */
  expireAfterMs?: number;
  /** How far an instant query looks back. Default 300,000. */
  lookbackMs?: number;
  /** What is otherwise for the metrics of this name, or pattern of names; of several about one the first counts. */
  metrics?: Record<string, MetricOptions>;
}

/** How a number must compare with another. NaN meets `!=` alone. */
export type Comparison = ">" | ">=" | "<" | "<=" | "==" | "!=";

/** An alert rule on Tidegate's own series: one of `threshold`, `rateOfChange` and `band`. */
export interface AlertOptions {
  /** The `alertname` of its alerts. */
  name: string;
  /** Which series: an instant selector without offset. */
  selector: string;
  /** The newest sample, or a statistic of a window (`avg`, `p99`, `rate`, …), compares so with the value. */
  threshold?: { op: Comparison; value: number; statistic?: string; windowMs?: number };
  /** The change of a gauge per second over the window compares so with the value. */
  rateOfChange?: { op: Comparison; value: number; windowMs: number };
  /** The newest sample is outside of what the ones before it taught. */
  band?: {
    /** Standard deviations from the mean that are still inside. Default 3. */
    deviations?: number;
    /** How many samples are remembered. Default 240. */
    memorySamples?: number;
    /** How many are learned before one is judged. Default 20. */
    samplesMin?: number;
    /** Distance from the mean that is inside whatever the deviation is. Default 0. */
    distanceMin?: number;
    /** On which side of the band a sample matters. Default either. */
    side?: "either" | "above" | "below";
  };
  /** How long the condition must be met before the alert fires. Default 0: at once. */
  forMs?: number;
  /** How long a firing alert stays so after the condition was last met. Default 0. */
  keepFiringForMs?: number;
  /** Labels beside those of the series. */
  labels?: Record<string, string>;
  /** Texts, with `{{ $value }}` and `{{ $labels.name }}`. */
  annotations?: Record<string, string>;
}

export interface TidegateOptions {
  /** Sources by name; a string is a source's URL. The first one is the default source. */
  sources: Record<string, string | SourceOptions>;
  /** What all cached answers may weigh. Default 64 MiB; 0 turns the cache off. */
  cacheBytesMax?: number;
  /** The bounds of Tidegate's own series. */
  local?: LocalOptions;
  /** Alert rules; what becomes of them is told to `onEvent`. */
  alerts?: AlertOptions[];
  /** How often they are looked at. Default 15,000; at least 1,000. */
  alertIntervalMs?: number;
  /** What random choices such as jitter are drawn from: a whole number from 0 to 2^53 - 1. Default: another one each time. */
  seed?: number;
  /** Called for every event. What it throws is dropped. */
  onEvent?: (event: TidegateEvent) => void;
}

export interface QueryOptions {
  /** The source's name. Default: the first source. */
  source?: string;
  /**
   * In place of `source`: several, whose answers are merged, their series told apart by a label `source`. One that
   * fails is a warning; only if all fail is it an error.
   */
  sources?: string | string[];
  /** The instant asked about, in milliseconds since 1970. Default: now. */
  timeMs?: number;
  /** In place of `timeMs`, with `endMs` and `stepMs`: the first of the instants asked about. The answer is a matrix. */
  startMs?: number;
  /** The last one lies not past this. */
  endMs?: number;
  /** From one to the next; there are at most 11,000 steps. */
  stepMs?: number;
  /** The oldest data that will do, by its own instant. Default: the source's ttl decides. */
  maxAgeMs?: number;
  /** Take an answer past its ttl at once while a newer one is fetched. Default false. */
  allowStale?: boolean;
  /** How far past its ttl an answer may be at most, also where the source fails. Default: the thresholds decide. */
  maxStaleMs?: number;
  /** How long to wait. Default and cap: the source's timeout. */
  timeoutMs?: number;
}

/** What `invalidate` is to forget: one of these, or `source` with `template`. */
export interface InvalidateOptions {
  /** The answer with this key; answers carry theirs. */
  key?: string;
  /** All answers whose keys begin so. */
  prefix?: string;
  /** All answers of this source… */
  source?: string;
  /** …or only those of this template of it. */
  template?: string;
  /** All there are. */
  all?: true;
}

export interface WatchOptions extends QueryOptions {
  /** Time between two asks; an ask that takes longer delays the next. Default 15,000. */
  everyMs?: number;
}

interface AnswerBase {
  /** The instant the numbers speak for, in milliseconds since 1970. */
  asOfMs: number;
  /** When the answer was received. */
  fetchedAtMs: number;
  /** The data's age when the answer was given. */
  ageMs: number;
  freshness: Freshness;
  provenance: Provenance;
  /** The source that said it. */
  source: string;
  /** What the cache calls it. */
  key: string;
  /** How much longer it counts as a hit; absent once past. */
  ttlLeftMs?: number;
  /** The failure behind a `stale-on-error`. */
  reason?: string;
  warnings: string[];
  infos: string[];
}

/** A native histogram, as the source wrote it. */
export interface Histogram {
  /** Index of its series in `metrics`. */
  series: number;
  timestampMs: number;
  /** `count`, `sum` and `buckets`, as in Prometheus' HTTP API. */
  histogram: unknown;
}

/** One value per series. */
export interface VectorAnswer extends AnswerBase {
  type: "vector";
  metrics: Labels[];
  /** Milliseconds since 1970, one per series. */
  timestampsMs: Float64Array;
  /** One per series; NaN for a series whose sample is a native histogram. */
  values: Float64Array;
  /** Absent where there are none. */
  histograms?: Histogram[];
}

/** Many values per series; those of series `i` stand at `offsets[i]` up to, not including, `offsets[i + 1]`. */
export interface MatrixAnswer extends AnswerBase {
  type: "matrix";
  metrics: Labels[];
  /** `metrics.length + 1` positions. */
  offsets: Uint32Array;
  timestampsMs: Float64Array;
  values: Float64Array;
  /** Absent where there are none; they take no place in `offsets`. */
  histograms?: Histogram[];
}

export interface ScalarAnswer extends AnswerBase {
  type: "scalar";
  timestampMs: number;
  value: number;
}

export interface StringAnswer extends AnswerBase {
  type: "string";
  timestampMs: number;
  value: string;
}

export type Answer = VectorAnswer | MatrixAnswer | ScalarAnswer | StringAnswer;

/** One sample to record. */
export interface SampleInput {
  /** The metric's name. */
  name: string;
  labels?: Labels;
  value: number;
  /** Milliseconds since 1970. Default: now. */
  timestampMs?: number;
}

/** What a metric is. */
export interface FamilyInput {
  name: string;
  /** Default `unknown`. */
  type?: "counter" | "gauge" | "histogram" | "summary" | "unknown";
  /** In the plural: `seconds`, `bytes`. */
  unit?: string;
  /** A sentence for people. */
  help?: string;
}

/** What became of samples. */
export interface RecordedSamples {
  accepted: number;
  /** Those that were not taken: which, the reason in one word, and in a sentence. */
  refused: { index: number; reason: string; message: string }[];
}

/** A question about windows of what was recorded and collected. */
export interface AggregateOptions {
  /** One selector or several; none takes all series. */
  select?: string | string[];
  /** How long each window is. It is open at its start and closed at its end. */
  windowMs: number;
  /** Takes series together that agree in these labels; the metric's name is the label `__name__`. */
  by?: string[];
  /** Or in all labels but these. Without either, each series stands by itself. */
  without?: string[];
  /**
   * What is told of each: `count`, `sum`, `avg`, `min`, `max`, `stddev`, `stdvar`, `first`, `last`, `rate`, `increase`,
   * `delta`, `ema`, `sma`, quantiles such as `p95` and `nearest_p99`.
   */
  statistics: string | string[];
  /** Where the window ends. Default: now. */
  timeMs?: number;
  /** In place of `timeMs`: several windows, whose ends lie from here … */
  startMs?: number;
  /** … to here … */
  endMs?: number;
  /** … so far apart. */
  stepMs?: number;
}

/** What is told of one group of series. */
export interface Group {
  /** The labels that its series have in common. */
  labels: Labels;
  /** Where its windows end; those without a sample are left out. */
  endsMs: number[];
  /** By statistic, one for each window; `null` where it needs more samples than there are. */
  values: Record<string, (number | null)[]>;
  /** Whether quantiles are estimates, within 1 %, for there were too many samples. */
  approximate: boolean;
}

/** Why there is no answer. */
export class TidegateError extends Error {
  constructor(kind: string, message: string, source?: string, status?: number);
  /**
   * One hyphenated word: `unknown-source`, `bad-data`, `execution`, `timeout`, `unavailable`,
   * `overloaded`, `config`, `closed`.
   */
  readonly kind: string;
  /** The source that was asked, where one was. */
  readonly source?: string;
  /** The source's HTTP status, where it refused or failed in its own words. */
  readonly status?: number;
}

/** A watch under way. */
export interface Watch {
  /** Ends it; the listener is not called again. */
  stop(): void;
}

/** A collector in this page, worker or Node process. */
export class Tidegate {
  private constructor();
  /**
   * Loads the WebAssembly module (once) and starts a collector. Rejects with a `TidegateError` of kind `config` when
   * an option is wrong, also when it is unknown.
   */
  static create(options: TidegateOptions): Promise<Tidegate>;
  /**
   * Asks about every instant from `startMs` to `endMs`; only what is not at hand is fetched. Rejects with a
   * `TidegateError`.
   */
  query(expr: string, options: QueryOptions & { startMs: number; endMs: number; stepMs: number }): Promise<MatrixAnswer>;
  /** Asks once. Rejects with a `TidegateError`. */
  query(expr: string, options?: QueryOptions): Promise<Answer>;
  /** Asks again and again, and says each answer or error to the listener. */
  watch(expr: string, options: WatchOptions, listener: (answer: Answer | TidegateError) => void): Watch;
  /**
   * Adds samples of a source with `push` to Tidegate's own series, a day of them in a few megabytes; asked for a
   * selector, the sources `local` and this one answer from there. Each sample is taken or refused by itself. Rejects
   * with a `TidegateError` when the whole batch is wrong.
   */
  record(source: string, samples: SampleInput[], families?: FamilyInput[]): Promise<RecordedSamples>;
  /** Statistics of what was recorded and collected, over windows. Rejects with a `TidegateError`. */
  aggregate(options: AggregateOptions): Promise<Group[]>;
  /**
   * Forgets answers, says how many. What is being fetched for them is fetched anew, so that nobody gets data from
   * before.
   */
  invalidate(what: InvalidateOptions): Promise<number>;
  /** Stops fetching a key in the background until it is asked for again; says whether it was. */
  untrack(key: string): Promise<boolean>;
  /**
   * Ends every watch, cancels every fetch; pending and later queries reject with kind `closed`. Until then timers
   * keep a Node process alive.
   */
  close(): void;
}

/**
 * The per-second increase between successive samples of each series of a matrix of counters, at the later sample's
 * time; a counter that falls has been reset and counts from 0. Series keep their order. A series has one increase less
 * than it has samples, or fewer: a sample that is not finite is a gap, and one whose time does not rise is left out.
 */
export function perSecond(matrix: Pick<MatrixAnswer, "offsets" | "timestampsMs" | "values">): {
  offsets: Uint32Array;
  timestampsMs: Float64Array;
  values: Float64Array;
};
