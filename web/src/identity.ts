// Which machine this is and how long it has been up.

import type { Answer, Tidegate } from "tidegate";
import { LIVE } from "./collector.js";
import { el, setText } from "./dom.js";
import { span } from "./format.js";

/** A machine's name hardly changes; a reboot shows in the boot time within this. */
const EVERY_MS = 30_000;

export class Identity {
  readonly name = el("span", { class: "node-name", testid: "nodename" });
  readonly uptime = el("span", { class: "node-uptime", testid: "uptime" });
  nodename = "";
  private bootMs: number | null = null;

  start(tidegate: Tidegate): void {
    tidegate.watch("node_uname_info", { source: LIVE, everyMs: EVERY_MS }, (said) => {
      if (said instanceof Error || said.type !== "vector") return;
      const labels = said.metrics[0] ?? {};
      this.nodename = labels["nodename"] ?? "";
      setText(this.name, this.nodename);
      this.name.title = [labels["sysname"], labels["release"], labels["machine"]].filter(Boolean).join(" ");
    });
    tidegate.watch("node_boot_time_seconds", { source: LIVE, everyMs: EVERY_MS }, (said) => {
      const seconds = said instanceof Error ? null : firstValue(said);
      if (seconds !== null) this.bootMs = seconds * 1000;
    });
  }

  tick(nowMs: number): void {
    if (this.bootMs !== null) setText(this.uptime, `up ${span((nowMs - this.bootMs) / 1000)}`);
  }
}

function firstValue(answer: Answer): number | null {
  return answer.type === "vector" ? (answer.values[0] ?? null) : null;
}
