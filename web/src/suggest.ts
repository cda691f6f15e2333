// Completes the word under the caret: metric names seen so far, and PromQL's functions where they are understood.

/** What can stand at the caret: which characters a suggestion would replace. */
export interface Word {
  text: string;
  start: number;
  end: number;
}

/** Longer lists are read by nobody. */
const SUGGESTIONS_MAX = 8;
/** Fewer letters than this fit everything. */
const LETTERS_MIN = 2;

/** Functions and aggregations of PromQL which are typed often. */
export const FUNCTIONS = [
  "abs(", "absent(", "avg by (", "avg_over_time(", "bottomk(", "ceil(", "changes(", "clamp_max(", "clamp_min(", "count by (",
  "delta(", "deriv(", "floor(", "histogram_quantile(", "increase(", "irate(", "label_replace(", "max by (",
  "max_over_time(", "min by (", "min_over_time(", "predict_linear(", "quantile_over_time(", "rate(", "resets(", "round(",
  "sort_desc(", "sum by (", "sum_over_time(", "time()", "topk(", "vector(",
];

/** The word the caret stands at the end of, or `null` where a metric name cannot stand: in a string, after no letter. */
export function wordAt(text: string, caret: number): Word | null {
  const before = text.slice(0, caret);
  if (insideString(before) || /[A-Za-z0-9_:]/.test(text.charAt(caret))) return null;
  const word = /[A-Za-z_:][A-Za-z0-9_:]*$/.exec(before)?.[0] ?? "";
  if (word.length < LETTERS_MIN) return null;
  return { text: word, start: caret - word.length, end: caret };
}

function insideString(before: string): boolean {
  let quote = "";
  for (let at = 0; at < before.length; at += 1) {
    const char = before.charAt(at);
    if (quote === "") quote = char === '"' || char === "'" || char === "`" ? char : "";
    else if (char === "\\" && quote !== "`") at += 1;
    else if (char === quote) quote = "";
  }
  return quote !== "";
}

/** The names that fit best: those that begin with the word, then those that contain it; never the word itself. */
export function suggest(word: string, names: Iterable<string>): string[] {
  const wanted = word.toLowerCase();
  const begins: string[] = [];
  const contains: string[] = [];
  for (const name of names) {
    const at = name.toLowerCase().indexOf(wanted);
    if (at < 0 || name === word) continue;
    (at === 0 ? begins : contains).push(name);
  }
  return [...begins.sort(), ...contains.sort()].slice(0, SUGGESTIONS_MAX);
}
