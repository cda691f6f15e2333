// Load: how many tasks run or wait to run.

import { gather } from "../derive.js";
import { plain, say } from "../format.js";
import type { Subject } from "../panel.js";

const PREFIX = "node_load";

export const load: Subject = {
  id: "load",
  title: "Load",
  topic: {
    selector: `{__name__=~"${PREFIX}(1|5|15)"}`,
    derive: (answer) => gather(answer, (labels) => labels["__name__"]?.slice(PREFIX.length) ?? null),
  },
  read: (table) => {
    const one = table.latest("1");
    return {
      quantity: one === null ? null : plain(one),
      detail: `5 min ${say(table.latest("5"), plain)} · 15 min ${say(table.latest("15"), plain)}`,
    };
  },
  spark: { cells: (table) => table.columns.get("1") ?? [], top: () => 0 },
  chart: {
    title: "Load",
    note: "running or waiting tasks",
    lines: () => [
      { column: "1", label: "1 min", color: "c-blue" },
      { column: "5", label: "5 min", color: "c-orange" },
      { column: "15", label: "15 min", color: "c-teal" },
    ],
    options: {
      testid: "chart-load",
      label: "Load averages over 1, 5 and 15 minutes",
      format: (value) => value.toFixed(2),
      maxAtLeast: 0.5,
    },
  },
};
