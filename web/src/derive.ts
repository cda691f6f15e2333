// From answers to rows: groups series by a label, adds them up, and turns counters into shares and rates.

import type { Labels } from "tidegate";
import type { Batch, Cell } from "./table.js";

/** The columns of a matrix, or of its rates. */
export interface Columns {
  metrics: Labels[];
  offsets: ArrayLike<number>;
  timestampsMs: ArrayLike<number>;
  values: ArrayLike<number>;
}

/** Samples closer than this belong to one row: one scrape, written in one go. */
const SAME_ROW_MS = 250;

/**
 * Adds up all series with the same key into one column; `null` leaves a series out. A column has `null` where none
 * of its series has a sample, and NaN counts as no sample.
 */
export function gather(data: Columns, keyOf: (labels: Labels) => string | null): Batch {
  const rowOf = rows(data.timestampsMs);
  const columns = new Map<string, Cell[]>();
  data.metrics.forEach((labels, series) => {
    const key = keyOf(labels);
    if (key === null) return;
    let cells = columns.get(key);
    if (cells === undefined) {
      cells = new Array<Cell>(rowOf.times.length).fill(null);
      columns.set(key, cells);
    }
    const end = data.offsets[series + 1] ?? 0;
    for (let at = data.offsets[series] ?? 0; at < end; at += 1) {
      const row = rowOf.index.get(data.timestampsMs[at] ?? NaN);
      const value = data.values[at] ?? NaN;
      if (row === undefined || Number.isNaN(value)) continue;
      cells[row] = (cells[row] ?? 0) + value;
    }
  });
  return { times: rowOf.times, columns };
}

function rows(timestampsMs: ArrayLike<number>): { times: number[]; index: Map<number, number> } {
  const distinct = [...new Set(Array.from(timestampsMs))].sort((a, b) => a - b);
  const times: number[] = [];
  const index = new Map<number, number>();
  let start = -Infinity;
  for (const at of distinct) {
    if (at - start > SAME_ROW_MS) {
      times.push(at / 1000);
      start = at;
    }
    index.set(at, times.length - 1);
  }
  return { times, index };
}

/** Builds columns row by row from others. */
export function compute(batch: Batch, make: (cell: (name: string) => Cell) => Record<string, Cell>): Batch {
  const columns = new Map<string, Cell[]>();
  batch.times.forEach((_, row) => {
    const made = make((name) => batch.columns.get(name)?.[row] ?? null);
    for (const [name, value] of Object.entries(made)) {
      let cells = columns.get(name);
      if (cells === undefined) {
        cells = new Array<Cell>(batch.times.length).fill(null);
        columns.set(name, cells);
      }
      cells[row] = value;
    }
  });
  return { times: batch.times, columns };
}

/** How modes of node_cpu_seconds_total are shown; the rest of them is idle. */
export const CPU_MODES = ["system", "user", "nice", "irq", "iowait", "steal"] as const;

/** Per-second CPU time by mode into shares of all CPU time, 0 to 100, and `busy`: neither idle nor waiting. */
export function cpuShares(rates: Batch): Batch {
  const modes = [...rates.columns.keys()];
  return compute(rates, (cell) => {
    const total = modes.reduce((sum, mode) => sum + (cell(mode) ?? 0), 0);
    const share = (...names: string[]): Cell =>
      total > 0 ? (100 * names.reduce((sum, name) => sum + (cell(name) ?? 0), 0)) / total : null;
    const idle = share("idle", "iowait");
    return {
      system: share("system"),
      user: share("user"),
      nice: share("nice"),
      irq: share("irq", "softirq"),
      iowait: share("iowait"),
      steal: share("steal"),
      busy: idle === null ? null : 100 - idle,
    };
  });
}

/** Memory split into what adds up to all of it: used, cached (given back when asked for) and free, in bytes. */
export function memorySplit(gauges: Batch): Batch {
  return compute(gauges, (cell) => {
    const total = cell("MemTotal_bytes");
    const free = cell("MemFree_bytes");
    const available = cell("MemAvailable_bytes") ?? free;
    if (total === null || available === null) return { used: null, cached: null, free: null, total: null, share: null };
    const idle = Math.min(free ?? available, available);
    const used = Math.max(0, total - available);
    return {
      used,
      cached: available - idle,
      free: idle,
      total,
      share: total > 0 ? (100 * used) / total : null,
      swapTotal: cell("SwapTotal_bytes"),
      swapFree: cell("SwapFree_bytes"),
    };
  });
}
