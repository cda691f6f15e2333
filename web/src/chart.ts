// A live chart: uPlot on a table's columns, with a legend that reads out the last row or the one under the pointer.

import uPlot from "uplot";
import { el, setText } from "./dom.js";
import { clock } from "./format.js";
import { color, onTheme, tint } from "./theme.js";
import type { Cell, Table } from "./table.js";

/** One line or area. */
export interface Line {
  /** The table's column. */
  column: string;
  label: string;
  /** A colour token. */
  color: string;
  /** Drawn below the zero line, as what goes out is when what comes in is above. */
  below?: boolean;
}

export interface ChartOptions {
  testid: string;
  /** What a screen reader says for the drawing. */
  label: string;
  /** Writes a value, for axis and legend. */
  format: (value: number) => string;
  /** Areas on top of each other, in the lines' order. */
  stacked?: boolean;
  /** Areas below lines that are not stacked. */
  filled?: boolean;
  /** The upper end of the y axis; without it the data decides. */
  max?: (table: Table) => number;
  /** The y axis reaches this far at least. */
  maxAtLeast?: number;
  /** Steps of the y axis to choose from. */
  steps?: number[];
}

/** Steps of an axis in bytes: powers of two. */
export const BINARY_STEPS = Array.from({ length: 60 }, (_, power) => 2 ** power);

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const AXIS_WIDTH = 62;

export class Chart {
  readonly node: HTMLElement;
  readonly legend = el("ul", { class: "legend" });
  private readonly canvas = el("div", { class: "plot" });
  private plot: uPlot | null = null;
  private lines: Line[] = [];
  private values: HTMLElement[] = [];
  private cells: Cell[][] = [];
  private times: number[] = [];
  private range: [number, number] = [0, 1];
  private top = 1;
  private cursor: number | null = null;

  constructor(private readonly options: ChartOptions) {
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", options.label);
    this.node = el("div", { class: "chart", testid: options.testid }, this.canvas);
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    onTheme(() => this.plot?.redraw(false));
  }

  /** Shows the rows between two times (seconds since 1970). */
  update(table: Table, lines: Line[], from: number, to: number): void {
    this.range = [from, to];
    this.times = table.times;
    this.cells = lines.map((line) => table.columns.get(line.column) ?? new Array<Cell>(table.times.length).fill(null));
    this.top = this.options.max?.(table) ?? 0;
    if (this.plot === null || !sameLines(lines, this.lines)) this.build(lines);
    this.plot?.setData([this.times, ...this.drawn()] as uPlot.AlignedData, true);
    this.node.dataset["points"] = String(this.times.length);
    this.node.dataset["last"] = String(this.times.at(-1) ?? "");
    this.readOut();
  }

  private build(lines: Line[]): void {
    this.lines = lines;
    this.plot?.destroy();
    this.values = [];
    this.legend.replaceChildren(
      ...lines.map((line) => {
        const swatch = el("span", { class: line.below === true ? "swatch swatch-below" : "swatch" });
        swatch.style.setProperty("--swatch", `var(--${line.color})`);
        const value = el("span", { class: "legend-value" });
        this.values.push(value);
        return el("li", {}, swatch, el("span", { class: "legend-label" }, line.label), value);
      }),
    );
    this.plot = new uPlot(this.setup(lines), [[], ...lines.map(() => [])] as unknown as uPlot.AlignedData, this.canvas);
  }

  private setup(lines: Line[]): uPlot.Options {
    const { stacked, filled, steps, format } = this.options;
    const axis = {
      stroke: () => color("text-3"),
      font: FONT,
      grid: { stroke: () => color("grid"), width: 1 },
      ticks: { show: false },
    };
    return {
      width: Math.max(1, this.canvas.clientWidth),
      height: Math.max(1, this.canvas.clientHeight),
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "tidegate" }, drag: { x: false, y: false }, points: { show: stacked !== true, size: 6 } },
      scales: { x: { time: true, range: () => this.range }, y: { range: (_, min, max) => this.yRange(min, max) } },
      axes: [
        { ...axis, space: 72, size: 26, values: (plot, splits, _, __, step) => hours(plot, splits, step) },
        {
          ...axis,
          size: AXIS_WIDTH,
          space: 30,
          gap: 6,
          ...(steps === undefined ? {} : { incrs: steps }),
          values: (_, splits) => ticks(splits.map((value) => format(Math.abs(value)))),
        },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          label: line.label,
          width: stacked === true ? 0 : 1.5,
          stroke: () => color(line.color),
          points: { show: false },
          ...(stacked === true || filled === true ? { fill: () => tint(line.color, stacked === true ? 0.68 : 0.14) } : {}),
        })),
      ],
      // Each area ends where the one below it begins, so that see-through colours do not mix.
      ...(stacked === true
        ? { bands: lines.slice(1).map((_, at) => ({ series: [at + 2, at + 1] as [number, number] })) }
        : {}),
      hooks: {
        setCursor: [
          (plot) => {
            this.cursor = plot.cursor.idx ?? null;
            this.readOut();
          },
        ],
      },
    };
  }

  private yRange(min: number | null, max: number | null): [number, number] {
    if (this.top > 0) return [0, this.top];
    const high = Math.max(max ?? 0, this.options.maxAtLeast ?? 0);
    const low = Math.min(min ?? 0, 0);
    const room = (high - low) * 0.08 || 1;
    return [low < 0 ? low - room : 0, high + room];
  }

  /** The columns as drawn: summed up from below if stacked, turned over if they belong below zero. */
  private drawn(): Cell[][] {
    if (this.options.stacked === true) {
      let under: Cell[] | null = null;
      return this.cells.map((cells) => {
        const before: Cell[] | null = under;
        under = cells.map((cell, row) => (cell === null ? null : cell + (before?.[row] ?? 0)));
        return under;
      });
    }
    return this.cells.map((cells, at) =>
      this.lines[at]?.below === true ? cells.map((cell) => (cell === null ? null : -cell)) : cells,
    );
  }

  private readOut(): void {
    const row = this.cursor ?? this.times.length - 1;
    this.values.forEach((node, at) => {
      const cell = this.cells[at]?.[row] ?? null;
      setText(node, cell === null ? "–" : this.options.format(cell));
    });
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width > 0 && height > 0) this.plot?.setSize({ width, height });
  }
}

/** Times of day under the x axis; none where it would not fit before the right edge. */
function hours(plot: uPlot, splits: number[], step: number): string[] {
  const room = step < 60 ? 18 : 9;
  const edge = plot.over.clientWidth - room;
  return splits.map((at) => (plot.valToPos(at, "x") > edge ? "" : clock(at * 1000, step < 60)));
}

/** Writes `4 MB/s` for `4.00 MB/s` where no tick of the axis needs its decimals. */
function ticks(words: string[]): string[] {
  const whole = words.every((word) => !word.includes(".") || /\.0+(?!\d)/.test(word));
  return whole ? words.map((word) => word.replace(/\.0+(?!\d)/, "")) : words;
}

function sameLines(a: readonly Line[], b: readonly Line[]): boolean {
  return a.length === b.length && a.every((line, at) => line.column === b[at]?.column && line.label === b[at]?.label);
}
