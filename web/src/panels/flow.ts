// What network and disks have in common: two counters per device, one shown above the zero line and one below.

import { perSecond, type MatrixAnswer } from "tidegate";
import type { Line } from "../chart.js";
import { gather } from "../derive.js";
import { bytesPerSecond, say } from "../format.js";
import type { Subject } from "../panel.js";
import type { Batch, Cell, Table } from "../table.js";

export interface Flow {
  id: string;
  title: string;
  chartTitle: string;
  chartNote: string;
  label: string;
  /** Metric names of what comes in and what goes out. */
  into: string;
  out: string;
  /** How the two directions are written. */
  signs: [into: string, out: string];
  /** Devices which only repeat what others count; left out of sums as long as there are others. */
  secondary: RegExp;
}

/** More lines than this cannot be told apart. */
const DEVICES_MAX = 4;
const COLORS = ["c-blue", "c-orange", "c-teal", "c-pink"];

export function flow(options: Flow): Subject {
  const devices = new Devices(options.secondary);
  const write = (value: number): string => say(value, bytesPerSecond);
  return {
    id: options.id,
    title: options.title,
    topic: {
      selector: `{__name__=~"${options.into}|${options.out}"}`,
      derive: (answer) => devices.derive(answer, options),
    },
    read: (table) => {
      const into = table.latest("in");
      const out = table.latest("out");
      return {
        quantity: into === null || out === null ? null : bytesPerSecond(into + out),
        detail: `${options.signs[0]} ${say(into, bytesPerSecond)} · ${options.signs[1]} ${say(out, bytesPerSecond)}`,
      };
    },
    spark: { cells: (table) => table.columns.get("sum") ?? [], top: () => 0 },
    chart: {
      title: options.chartTitle,
      note: options.chartNote,
      lines: (table) => devices.lines(table, options.signs),
      options: { testid: `chart-${options.id}`, label: options.label, format: write, filled: true, maxAtLeast: 1000 },
    },
  };
}

/** Keeps the choice of devices, so that lines do not come and go with every second's traffic. */
class Devices {
  private chosen: string[] = [];

  constructor(private readonly secondary: RegExp) {}

  derive(answer: MatrixAnswer, flow: Flow): Batch {
    const rates = { metrics: answer.metrics, ...perSecond(answer) };
    const all = new Set(answer.metrics.map((labels) => labels["device"] ?? ""));
    const first = [...all].filter((device) => !this.secondary.test(device));
    const counted = new Set(first.length > 0 ? first : all);
    const sides = gather(rates, (labels) => `${labels["__name__"] === flow.into ? "in" : "out"}:${labels["device"] ?? ""}`);
    const total = (side: string): Cell[] => {
      const sums = new Array<Cell>(sides.times.length).fill(null);
      for (const [name, cells] of sides.columns) {
        if (!name.startsWith(`${side}:`) || !counted.has(name.slice(side.length + 1))) continue;
        cells.forEach((cell, row) => {
          if (cell !== null) sums[row] = (sums[row] ?? 0) + cell;
        });
      }
      return sums;
    };
    const into = total("in");
    const out = total("out");
    sides.columns.set("in", into);
    sides.columns.set("out", out);
    sides.columns.set("sum", into.map((cell, row) => (cell === null ? null : cell + (out[row] ?? 0))));
    return sides;
  }

  lines(table: Table, signs: [string, string]): Line[] {
    return this.choose(table).flatMap((device, at) => {
      const color = COLORS[at] ?? "c-grey";
      return [
        { column: `in:${device}`, label: `${device} ${signs[0]}`, color },
        { column: `out:${device}`, label: `${device} ${signs[1]}`, color, below: true },
      ];
    });
  }

  /** The busiest devices, idle ones if there are no others; a device once chosen stays as long as it exists. */
  private choose(table: Table): string[] {
    const known = [...table.columns.keys()].filter((name) => name.startsWith("in:")).map((name) => name.slice(3));
    const kept = this.chosen.filter((device) => known.includes(device));
    const traffic = (device: string): number =>
      ["in", "out"].reduce((sum, side) => sum + total(table.columns.get(`${side}:${device}`)), 0);
    const all = known
      .filter((device) => !kept.includes(device))
      .map((device) => ({ device, secondary: this.secondary.test(device), traffic: traffic(device) }));
    const busy = all.filter((device) => device.traffic > 0);
    const others = (busy.length + kept.length > 0 ? busy : all)
      .sort((a, b) => Number(a.secondary) - Number(b.secondary) || b.traffic - a.traffic);
    this.chosen = [...kept, ...others.map(({ device }) => device)].slice(0, DEVICES_MAX);
    return this.chosen;
  }
}

function total(cells: Cell[] | undefined): number {
  return (cells ?? []).reduce<number>((sum, cell) => sum + (cell ?? 0), 0);
}
