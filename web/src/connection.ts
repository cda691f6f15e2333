// Whether the server answers: the word in the header, and the message below it while it does not.

import { LIVE_LIMITS } from "./collector.js";
import { el, setText } from "./dom.js";
import { clock, span } from "./format.js";

export type State = "connecting" | "live" | "lost" | "paused" | "failed";

const WORDS: Record<State, string> = {
  connecting: "connecting",
  live: "live",
  lost: "no answer",
  paused: "paused",
  failed: "cannot run",
};

export class Connection {
  readonly node = el("span", { class: "connection", testid: "connection", attrs: { "data-state": "connecting", role: "status" } });
  readonly banner = el("div", { class: "banner", testid: "banner", attrs: { role: "status" } });
  private readonly word = el("span", {}, WORDS.connecting);
  private lostAtMs: number | null = null;
  private wasLive = false;

  constructor() {
    this.node.append(el("span", { class: "connection-dot", attrs: { "aria-hidden": "true" } }), this.word);
    this.banner.hidden = true;
  }

  /** Shows a state. `why` is the failure behind `lost` and `failed`; `refused` if the server said it. */
  set(state: State, why = "", refused = false): void {
    if (state === "lost") this.lostAtMs ??= Date.now();
    else this.lostAtMs = null;
    this.wasLive ||= state === "live";
    this.node.dataset["state"] = state;
    setText(this.word, WORDS[state]);
    this.banner.hidden = state !== "lost" && state !== "failed";
    if (state === "failed") setText(this.banner, why);
    if (state === "lost") this.tell(why, refused);
  }

  /** The same words as long as nothing changes, so that a screen reader says them once. */
  private tell(why: string, refused: boolean): void {
    const since = this.lostAtMs ?? Date.now();
    const numbers = this.numbersSince(since);
    setText(
      this.banner,
      `The server ${refused ? "has refused to answer" : "has not answered"} since ${clock(since)}` +
        `${why === "" ? "" : ` (${why})`}. ${numbers} ` +
        "The page asks again every second and goes on by itself.",
    );
  }

  /** What becomes of the numbers on the page. */
  private numbersSince(lostAtMs: number): string {
    if (!this.wasLive) return "Nothing is shown yet.";
    if (Date.now() - lostAtMs > LIVE_LIMITS.unavailablePastMs) return "The last numbers are too old to show.";
    return `The last numbers stay, marked stale, and are dropped after ${span(LIVE_LIMITS.unavailablePastMs / 1000)}.`;
  }
}
