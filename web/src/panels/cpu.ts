// CPU: how busy, and with what.

import { perSecond } from "tidegate";
import { CPU_MODES, cpuShares, gather } from "../derive.js";
import { percent, say } from "../format.js";
import type { Subject } from "../panel.js";

const COLORS: Record<(typeof CPU_MODES)[number], string> = {
  system: "c-orange",
  user: "c-blue",
  nice: "c-teal",
  irq: "c-pink",
  iowait: "c-yellow",
  steal: "c-grey",
};

export const cpu: Subject = {
  id: "cpu",
  title: "CPU",
  topic: {
    selector: "node_cpu_seconds_total",
    derive: (answer) => cpuShares(gather({ metrics: answer.metrics, ...perSecond(answer) }, (labels) => labels["mode"] ?? null)),
  },
  read: (table) => {
    const busy = table.latest("busy");
    return {
      quantity: busy === null ? null : percent(busy),
      detail: `user ${say(table.latest("user"), percent)} · system ${say(table.latest("system"), percent)}`,
    };
  },
  spark: { cells: (table) => table.columns.get("busy") ?? [], top: () => 100 },
  chart: {
    title: "CPU by mode",
    note: "share of all cores",
    wide: true,
    lines: () => CPU_MODES.map((mode) => ({ column: mode, label: mode, color: COLORS[mode] })),
    options: {
      testid: "chart-cpu",
      label: "CPU time by mode, stacked, in percent of all cores",
      format: (value) => `${value.toFixed(value < 9.95 && !Number.isInteger(value) ? 1 : 0)} %`,
      stacked: true,
      max: () => 100,
      steps: [10, 20, 25, 50],
    },
  },
};
