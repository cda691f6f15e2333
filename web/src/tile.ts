// A big number with its unit, what it is made of, its freshness, and a sparkline behind it.

import type { Freshness } from "tidegate";
import { LIVE_LIMITS } from "./collector.js";
import { el, setText } from "./dom.js";
import type { Quantity } from "./format.js";
import { Pill } from "./pill.js";
import { Sparkline } from "./sparkline.js";
import type { Cell } from "./table.js";

/** What a tile says. */
export interface Reading {
  /** `null` before there is a number. */
  quantity: Quantity | null;
  /** A line under the number. */
  detail: string;
}

/** How much of the past a sparkline shows at most. */
const SPARK_S = 180;

export class Tile {
  readonly pill = new Pill(LIVE_LIMITS);
  readonly node: HTMLElement;
  private readonly number = el("span", { class: "tile-number" }, "–");
  private readonly unit = el("span", { class: "tile-unit" });
  private readonly detail = el("span", { class: "tile-detail" }, "waiting for the first answer");
  private readonly spark = new Sparkline();
  private reading: Reading | null = null;

  constructor(id: string, title: string) {
    this.node = el(
      "section",
      { class: "tile", testid: `tile-${id}`, attrs: { "aria-label": title } },
      el("h2", {}, title),
      el("p", { class: "tile-value" }, this.number, this.unit),
      this.detail,
      this.pill.node,
      this.spark.node,
    );
  }

  read(reading: Reading): void {
    this.reading = reading;
  }

  /** Draws the sparkline of what lies between two times (seconds since 1970), or of the end of it. */
  draw(times: readonly number[], cells: readonly Cell[], from: number, to: number, top: number): void {
    this.spark.update(times, cells, Math.max(from, to - SPARK_S), to, top);
  }

  /** Writes the number as long as it counts for something. Returns what it counts as. */
  tick(nowMs: number, error: Error | null): Freshness {
    const freshness = this.pill.tick(nowMs);
    const quantity = this.reading?.quantity ?? null;
    const shown = freshness === "fresh" || freshness === "stale" ? quantity : null;
    setText(this.number, shown?.number ?? "–");
    setText(this.unit, shown?.unit ?? "");
    const detail = this.detailFor(freshness, quantity, error);
    setText(this.detail, detail);
    this.detail.title = detail;
    this.node.dataset["freshness"] = freshness;
    return freshness;
  }

  private detailFor(freshness: Freshness, quantity: Quantity | null, error: Error | null): string {
    if (freshness === "unavailable" && quantity !== null) return `last seen: ${quantity.number} ${quantity.unit}`;
    if (this.reading !== null && freshness !== "missing") return this.reading.detail;
    return error?.message ?? "waiting for the first answer";
  }
}
