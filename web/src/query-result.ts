// Shows what a question brought: a table of values, a chart of a matrix, or the error in the source's own words.

import { TidegateError, type Answer, type Labels, type MatrixAnswer, type VectorAnswer } from "tidegate";
import { Chart, type Line } from "./chart.js";
import { gather } from "./derive.js";
import { el } from "./dom.js";
import { clock, digits, exact, seriesName } from "./format.js";
import { Table } from "./table.js";

/** More rows are cut off, and the cut is said. */
const ROWS_MAX = 500;
/** With more labels than this the values would be out of sight; each series is then written in one cell. */
const LABEL_COLUMNS_MAX = 6;
/** More lines are not drawn, and that is said. */
const LINES_MAX = 20;
/** A longer label value is shown by its beginning; the whole of it is in its title. */
const LABEL_CHARS_MAX = 120;

const COLORS = ["c-blue", "c-orange", "c-teal", "c-pink", "c-yellow", "c-sky", "c-violet", "c-grey"];

/** The answer as an element. */
export function renderAnswer(answer: Answer): HTMLElement {
  const notes = [...answer.warnings.map((text) => `Warning: ${text}`), ...answer.infos.map((text) => `Info: ${text}`)];
  return el(
    "div",
    { testid: "query-result", attrs: { "data-type": answer.type } },
    ...notes.map((text) => el("p", { class: "note" }, text)),
    body(answer),
  );
}

/** The error as an element: what kind it is, and all the source said. */
export function renderError(error: unknown): HTMLElement {
  const known = error instanceof TidegateError ? error : null;
  const kind = known?.kind.replaceAll("-", "_") ?? "error";
  const status = known?.status === undefined ? null : el("span", { class: "error-status" }, `HTTP ${known.status}`);
  return el(
    "div",
    { class: "error", testid: "query-error", attrs: { role: "alert" } },
    el("p", { class: "error-head" }, el("strong", {}, kind), status),
    el("p", { class: "error-text" }, error instanceof Error ? error.message : String(error)),
  );
}

function body(answer: Answer): HTMLElement {
  switch (answer.type) {
    case "vector":
      return answer.metrics.length === 0 ? empty() : vector(answer);
    case "matrix":
      return answer.metrics.length === 0 ? empty() : matrix(answer);
    case "scalar":
      return single(exact(answer.value), answer.timestampMs);
    case "string":
      return single(answer.value, answer.timestampMs);
  }
}

function empty(): HTMLElement {
  return el("p", { class: "empty" }, "An answer without series: nothing matches at this instant. That is not the same as 0.");
}

function single(value: string, timestampMs: number): HTMLElement {
  return el("p", { class: "single" }, el("span", { class: "single-value" }, value), ` at ${clock(timestampMs)}`);
}

function vector(answer: VectorAnswer): HTMLElement {
  const shown = answer.metrics.slice(0, ROWS_MAX);
  const { head, cells } = labelColumns(shown);
  const rows = shown.map((metric, at) =>
    el(
      "tr",
      {},
      ...cells(metric).map(cell),
      el("td", { class: "num" }, exact(answer.values[at] ?? NaN)),
      el("td", { class: "num when" }, clock(answer.timestampsMs[at] ?? NaN)),
    ),
  );
  return el(
    "div",
    {},
    cut(answer.metrics.length, ROWS_MAX, "rows"),
    el(
      "div",
      { class: "table-box", attrs: { tabindex: "0", role: "region", "aria-label": "Result table" } },
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            ...head.map((name) => el("th", { attrs: { scope: "col" } }, name)),
            el("th", { class: "num", attrs: { scope: "col" } }, "value"),
            el("th", { class: "num", attrs: { scope: "col" } }, "time"),
          ),
        ),
        el("tbody", {}, ...rows),
      ),
    ),
  );
}

/** How the series are told apart: a column per label, or one for all where they are many. */
function labelColumns(metrics: readonly Labels[]): { head: string[]; cells: (metric: Labels) => string[] } {
  const labels = [...new Set(metrics.flatMap((metric) => Object.keys(metric)))].filter((name) => name !== "__name__").sort();
  if (labels.length > LABEL_COLUMNS_MAX) return { head: ["series"], cells: (metric) => [seriesName(metric)] };
  const named = metrics.some((metric) => metric["__name__"] !== undefined);
  return {
    head: [...(named ? ["metric"] : []), ...labels],
    cells: (metric) => [...(named ? ["__name__"] : []), ...labels].map((name) => metric[name] ?? ""),
  };
}

function cell(text: string): HTMLElement {
  if (text.length <= LABEL_CHARS_MAX) return el("td", {}, text);
  return el("td", { title: text }, `${text.slice(0, LABEL_CHARS_MAX)}…`);
}

function matrix(answer: MatrixAnswer): HTMLElement {
  const names = new Map(answer.metrics.map((labels) => [labels, seriesName(labels)]));
  const table = new Table();
  table.replace(gather(answer, (labels) => names.get(labels) ?? null));
  const lines: Line[] = [...table.columns.keys()].slice(0, LINES_MAX).map((column, at) => ({
    column,
    label: column,
    color: COLORS[at % COLORS.length] ?? "c-grey",
  }));
  const chart = new Chart({ testid: "chart-query", label: "The answer's series over time", format: short });
  chart.legend.classList.add("legend-rows");
  const box = el("div", {}, cut(table.columns.size, LINES_MAX, "series"), chart.node, chart.legend);
  const from = table.first ?? 0;
  const to = table.last ?? 1;
  // The chart measures itself, so it is filled when it stands in the page.
  requestAnimationFrame(() => chart.update(table, lines, from, to > from ? to : from + 1));
  return box;
}

function short(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 0.01)) return value.toExponential(2);
  return Number.isInteger(value) ? String(value) : digits(value);
}

function cut(count: number, max: number, what: string): HTMLElement | null {
  return count <= max ? null : el("p", { class: "note" }, `Showing the first ${max} of ${count} ${what}.`);
}
