// Memory: what is used, what caches would give back, what is free.

import { BINARY_STEPS } from "../chart.js";
import { gather, memorySplit } from "../derive.js";
import { bytes, percent, say } from "../format.js";
import type { Subject } from "../panel.js";

const PREFIX = "node_memory_";

export const memory: Subject = {
  id: "memory",
  title: "Memory",
  topic: {
    selector: `{__name__=~"${PREFIX}(MemTotal|MemAvailable|MemFree|SwapTotal|SwapFree)_bytes"}`,
    derive: (answer) => memorySplit(gather(answer, (labels) => labels["__name__"]?.slice(PREFIX.length) ?? null)),
  },
  read: (table) => {
    const share = table.latest("share");
    return {
      quantity: share === null ? null : percent(share),
      detail: `${say(table.latest("used"), bytes)} of ${say(table.latest("total"), bytes)}`,
    };
  },
  spark: { cells: (table) => table.columns.get("share") ?? [], top: () => 100 },
  chart: {
    title: "Memory",
    note: "used + cached + free",
    wide: true,
    lines: () => [
      { column: "used", label: "used", color: "c-blue" },
      { column: "cached", label: "cached", color: "c-teal" },
      { column: "free", label: "free", color: "c-faint" },
    ],
    options: {
      testid: "chart-memory",
      label: "Memory used, cached and free, stacked, in bytes",
      format: (value) => say(value, bytes),
      stacked: true,
      max: (table) => table.latest("total") ?? 0,
      steps: BINARY_STEPS,
    },
  },
};
