// What Tidegate's own alert rules say, from `/v1/alerts`: those that are firing before those that are pending.

import { el, setText } from "./dom.js";
import { digits, span } from "./format.js";

/** An alert that is pending or firing. */
export interface Alert {
  name: string;
  state: "pending" | "firing";
  /** Names and values, the alert's own name left out. */
  labels: [name: string, value: string][];
  /** What its rule has to say, if anything. */
  summary: string;
  value: number;
  /** When it became active, in milliseconds since 1970. */
  activeAtMs: number;
}

const EVERY_MS = 5_000;
const TIMEOUT_MS = 3_000;
/** More lines would push away what may explain them. */
const SHOWN_MAX = 8;
const MARK = { firing: "▲", pending: "△" } as const;

/** The alerts of a `/v1/alerts` body, in the order in which they are shown; entries of another shape are left out. */
export function parseAlerts(body: unknown): Alert[] {
  const data = isRecord(body) ? body["data"] : null;
  const list: unknown = isRecord(data) ? data["alerts"] : null;
  if (!Array.isArray(list)) return [];
  const alerts = list.flatMap((entry: unknown): Alert[] => {
    if (!isRecord(entry) || !isRecord(entry["labels"])) return [];
    const { state, activeAt, value } = entry;
    if (state !== "pending" && state !== "firing") return [];
    const texts = (from: unknown): [string, string][] =>
      Object.entries(isRecord(from) ? from : {}).filter((pair): pair is [string, string] => typeof pair[1] === "string");
    const labels = texts(entry["labels"]);
    const annotations = new Map(texts(entry["annotations"]));
    return [
      {
        name: new Map(labels).get("alertname") ?? "",
        state,
        labels: labels.filter(([name]) => name !== "alertname"),
        summary: annotations.get("summary") ?? annotations.get("description") ?? "",
        value: typeof value === "string" ? Number(value) : Number.NaN,
        activeAtMs: typeof activeAt === "string" ? Date.parse(activeAt) : Number.NaN,
      },
    ];
  });
  const rank = (alert: Alert): number => (alert.state === "firing" ? 0 : 1);
  return alerts.sort((a, b) => rank(a) - rank(b) || b.activeAtMs - a.activeAtMs);
}

/** A card that is there while there is an alert. */
export class Alerts {
  private readonly list = el("ul", { class: "alerts" });
  private readonly count = el("span", { class: "card-note" });
  readonly node = el(
    "section",
    { class: "card card-alerts", testid: "alerts", attrs: { "aria-label": "Alerts", "aria-live": "polite", hidden: "" } },
    el("header", { class: "card-head" }, el("h2", {}, "Alerts"), this.count),
    this.list,
  );
  private shown = "";
  private since: [node: HTMLElement, activeAtMs: number][] = [];

  constructor(private readonly origin: string) {}

  /** Asks from now on, as long as somebody looks. */
  start(): void {
    void this.ask();
    setInterval(() => {
      if (!document.hidden) void this.ask();
    }, EVERY_MS);
  }

  /** Lets the times grow. */
  tick(nowMs: number): void {
    for (const [node, activeAtMs] of this.since) {
      const seconds = Math.max(0, nowMs - activeAtMs) / 1000;
      setText(node, Number.isFinite(seconds) ? `for ${span(Math.round(seconds))}` : "");
    }
  }

  /** A server that does not answer is told of elsewhere; what was known stays. */
  private async ask(): Promise<void> {
    try {
      const response = await fetch(`${this.origin}/v1/alerts`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (response.ok) this.show(parseAlerts(await response.json()));
    } catch {
      return;
    }
  }

  private show(alerts: Alert[]): void {
    const said = JSON.stringify(alerts);
    if (said === this.shown) return;
    this.shown = said;
    this.node.hidden = alerts.length === 0;
    const firing = alerts.filter((alert) => alert.state === "firing").length;
    const more = alerts.length > SHOWN_MAX ? `, the first ${SHOWN_MAX} shown` : "";
    setText(this.count, `${firing} firing, ${alerts.length - firing} pending${more}`);
    this.since = [];
    this.list.replaceChildren(...alerts.slice(0, SHOWN_MAX).map((alert) => this.line(alert)));
    this.tick(Date.now());
  }

  private line(alert: Alert): HTMLElement {
    const since = el("span", { class: "alert-since", title: new Date(alert.activeAtMs).toLocaleString() });
    this.since.push([since, alert.activeAtMs]);
    const labels = alert.labels.map(([name, value]) => el("code", { class: "alert-label" }, `${name}=${value}`));
    return el(
      "li",
      { class: "alert", testid: "alert", attrs: { "data-state": alert.state } },
      el("span", { class: "alert-state" }, `${MARK[alert.state]} ${alert.state}`),
      el("strong", {}, alert.name),
      el("span", { class: "alert-summary" }, alert.summary === "" ? `value ${digits(alert.value)}` : alert.summary),
      ...labels,
      since,
    );
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
