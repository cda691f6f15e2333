// The pill beside a number: how fresh it is, how old, and how it was come by. Shape and words, not colour alone.

import type { Answer, Freshness, Provenance } from "tidegate";
import { el, setText } from "./dom.js";
import { age, clock, span } from "./format.js";
import { freshnessNow, type Thresholds } from "./freshness.js";
import { tipOn } from "./tip.js";

const MARK: Record<Freshness, string> = { fresh: "●", stale: "◐", unavailable: "○", missing: "–" };

const FRESHNESS: Record<Freshness, (limits: Thresholds) => string> = {
  fresh: (limits) => `Fresh: the data is younger than ${span(limits.freshBelowMs / 1000)}.`,
  stale: (limits) =>
    `Stale: the data is ${span(limits.freshBelowMs / 1000)} old or older. Past ${span(limits.unavailablePastMs / 1000)} it counts as unavailable.`,
  unavailable: (limits) => `Unavailable: the last data is older than ${span(limits.unavailablePastMs / 1000)}.`,
  missing: () => "Missing: there has been no data yet, which is not the same as 0.",
};

const PROVENANCE: Record<Provenance, string> = {
  hit: "Hit: answered from this page's memory, within its time to live.",
  partial: "Partial: put together from memory and from what the source said just now.",
  miss: "Miss: fetched from the source for this very answer.",
  coalesced: "Coalesced: shared a fetch which was already under way.",
  stale: "Stale: past its time to live, shown while a newer answer is fetched.",
  "stale-on-error": "Stale on error: the source failed, this is its last good answer.",
};

export class Pill {
  readonly node = el("button", { class: "pill", testid: "pill", attrs: { type: "button" } });
  private readonly mark = el("span", { class: "pill-mark", attrs: { "aria-hidden": "true" } });
  private readonly state = el("span", { class: "pill-state" });
  private readonly old = el("span", { class: "pill-age" });
  private readonly how = el("span", { class: "pill-how" });
  private answer: Answer | null = null;
  private frozenAtMs: number | null = null;

  constructor(private readonly limits: Thresholds) {
    this.node.append(this.mark, this.state, this.old, this.how);
    tipOn(this.node, () => this.explain());
    this.tick(Date.now());
  }

  /** Takes the newest answer. With `frozen` the pill keeps the age it had then: it speaks of one past question. */
  show(answer: Answer | null, frozen = false): void {
    this.answer = answer;
    this.frozenAtMs = frozen ? Date.now() : null;
    this.tick(Date.now());
  }

  /** Lets the age grow. Returns what the data counts as by now. */
  tick(nowMs: number): Freshness {
    const freshness = this.freshness(nowMs);
    this.node.dataset["freshness"] = freshness;
    this.node.dataset["provenance"] = this.answer?.provenance ?? "";
    setText(this.mark, MARK[freshness]);
    setText(this.state, freshness);
    setText(this.old, this.answer === null ? "" : age(this.ageMs(nowMs)));
    setText(this.how, this.answer?.provenance ?? "");
    return freshness;
  }

  private freshness(nowMs: number): Freshness {
    if (this.answer === null) return "missing";
    return freshnessNow(this.answer.freshness, this.ageMs(nowMs), this.limits);
  }

  private ageMs(nowMs: number): number {
    if (this.answer === null) return 0;
    const since = (this.frozenAtMs ?? nowMs) - this.answer.fetchedAtMs;
    // The server's clock may differ from this one: count on from the age the collector found.
    return Math.max(this.answer.ageMs, this.answer.fetchedAtMs - this.answer.asOfMs + since);
  }

  private explain(): string {
    if (this.answer === null) return FRESHNESS.missing(this.limits);
    const { provenance, asOfMs, fetchedAtMs, source, reason, warnings, infos } = this.answer;
    return [
      FRESHNESS[this.freshness(Date.now())](this.limits),
      PROVENANCE[provenance],
      `Source ${source}, data as of ${clock(asOfMs)}, received ${clock(fetchedAtMs)}.`,
      ...(reason === undefined ? [] : [`Reason: ${reason}`]),
      ...warnings.map((warning) => `Warning: ${warning}`),
      ...infos.map((info) => `Info: ${info}`),
    ].join("\n");
  }
}
