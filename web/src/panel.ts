// One subject of the dashboard: a topic to keep up to date, a tile with its number, and often a chart.

import type { Freshness } from "tidegate";
import { Chart, type ChartOptions, type Line } from "./chart.js";
import { LIVE_LIMITS } from "./collector.js";
import { el } from "./dom.js";
import type { Feed, Topic } from "./live.js";
import { Pill } from "./pill.js";
import type { Cell, Table } from "./table.js";
import { Tile, type Reading } from "./tile.js";

/** What makes one subject differ from another. */
export interface Subject {
  id: string;
  title: string;
  topic: Topic;
  /** The tile's number, from the rows so far. */
  read: (table: Table) => Reading;
  /** The tile's sparkline. */
  spark: { cells: (table: Table) => Cell[]; top: (table: Table) => number };
  chart?: { title: string; note: string; wide?: boolean; lines: (table: Table) => Line[]; options: ChartOptions };
}

export class Panel {
  readonly tile: Tile;
  readonly card: HTMLElement | null;
  private readonly chart: Chart | null;
  private readonly pill = new Pill(LIVE_LIMITS);
  private feed: Feed | null = null;

  constructor(readonly subject: Subject) {
    this.tile = new Tile(subject.id, subject.title);
    const chart = subject.chart;
    this.chart = chart === undefined ? null : new Chart(chart.options);
    this.card =
      chart === undefined || this.chart === null
        ? null
        : el(
            "section",
            { class: chart.wide === true ? "card card-wide" : "card", attrs: { "aria-label": chart.title } },
            el(
              "header",
              { class: "card-head" },
              el("h2", {}, chart.title),
              el("span", { class: "card-note" }, chart.note),
              this.pill.node,
            ),
            this.chart.legend,
            this.chart.node,
          );
  }

  /** Takes over what the feed has come to. */
  update(feed: Feed): void {
    this.feed = feed;
    this.pill.show(feed.answer);
    this.tile.pill.show(feed.answer);
    this.tile.read(this.subject.read(feed.table));
  }

  /** Draws what lies between two times (seconds since 1970). */
  draw(from: number, to: number): void {
    const table = this.feed?.table;
    if (table === undefined) return;
    const { spark, chart } = this.subject;
    this.tile.draw(table.times, spark.cells(table), from, to, spark.top(table));
    if (chart !== undefined) this.chart?.update(table, chart.lines(table), from, to);
  }

  /** Lets the ages grow. Returns what the panel's data counts as by now. */
  tick(nowMs: number): Freshness {
    const freshness = this.tile.tick(nowMs, this.feed?.error ?? null);
    this.pill.tick(nowMs);
    if (this.card !== null) this.card.dataset["freshness"] = freshness;
    return freshness;
  }
}
