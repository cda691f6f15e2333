// The little line in a tile: the last minutes of one column, without axes.

import { svg } from "./dom.js";
import type { Cell } from "./table.js";

const WIDTH = 120;
const HEIGHT = 28;

export class Sparkline {
  private readonly area = svg("path", { class: "spark-area" });
  private readonly line = svg("path", { class: "spark-line" });
  readonly node = svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    this.area,
    this.line,
  );

  /** Draws the cells between two times; `top` is the value at the upper edge, 0 lets the data decide. */
  update(times: readonly number[], cells: readonly Cell[], from: number, to: number, top: number): void {
    const first = times.findIndex((time) => time >= from);
    const start = first < 0 ? times.length : first;
    const high = top > 0 ? top : cells.slice(start).reduce<number>((max, cell) => Math.max(max, cell ?? 0), 0) * 1.15 || 1;
    let line = "";
    let area = "";
    let openedAt: number | null = null;
    let x = 0;
    for (let row = start; row < times.length; row += 1) {
      const cell = cells[row] ?? null;
      if (cell === null) {
        if (openedAt !== null) area += `L${x} ${HEIGHT}L${openedAt} ${HEIGHT}Z`;
        openedAt = null;
        continue;
      }
      x = round((((times[row] ?? 0) - from) / (to - from)) * WIDTH);
      const y = round(HEIGHT - 1 - (Math.min(cell, high) / high) * (HEIGHT - 2));
      line += `${openedAt === null ? "M" : "L"}${x} ${y}`;
      area += `${openedAt === null ? "M" : "L"}${x} ${y}`;
      openedAt ??= x;
    }
    if (openedAt !== null) area += `L${x} ${HEIGHT}L${openedAt} ${HEIGHT}Z`;
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
  }
}

const round = (value: number): number => Math.round(value * 10) / 10;
