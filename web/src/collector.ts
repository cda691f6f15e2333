// The collectors in this page: Tidegate's own WebAssembly, one for the live panels, one per source that is queried.

import { Tidegate, type SourceOptions } from "tidegate";
import type { Thresholds } from "./freshness.js";

/** What the live panels' collector calls this server. */
export const LIVE = "tidegate";

/** Numbers are recorded every second, those of file systems every five: twice that is stale. */
export const LIVE_LIMITS: Thresholds = { freshBelowMs: 10_000, unavailablePastMs: 30_000 };

/** The collector's defaults, for everything typed into the query box. */
export const QUERY_LIMITS: Thresholds = { freshBelowMs: 60_000, unavailablePastMs: 300_000 };

/** Well below the second between two polls, so that a poll that comes early does not find the one before a hit. */
const LIVE_TTL_MS = 750;
const LIVE_TIMEOUT_MS = 3_000;
const QUERY_TTL_MS = 1_000;
const QUERY_TIMEOUT_MS = 10_000;
/** An hour of every panel in columns is about 5 MB. */
const LIVE_CACHE_BYTES = 32 * 1024 * 1024;
const QUERY_CACHE_BYTES = 16 * 1024 * 1024;

/** The collector behind tiles and charts. */
export function liveCollector(url: string): Promise<Tidegate> {
  return Tidegate.create({
    sources: {
      [LIVE]: {
        url,
        ttlMs: LIVE_TTL_MS,
        timeoutMs: LIVE_TIMEOUT_MS,
        freshBelowMs: LIVE_LIMITS.freshBelowMs,
        warnPastMs: (LIVE_LIMITS.freshBelowMs + LIVE_LIMITS.unavailablePastMs) / 2,
        unavailablePastMs: LIVE_LIMITS.unavailablePastMs,
      },
    },
    cacheBytesMax: LIVE_CACHE_BYTES,
  });
}

/** The collectors behind the query box, made when a source is first asked. */
export class QueryCollectors {
  private readonly made = new Map<string, Promise<Tidegate>>();

  /** The collector for one source. A failed start is tried again with the next question. */
  at(name: string, url: string): Promise<Tidegate> {
    const known = this.made.get(url);
    if (known !== undefined) return known;
    const options: SourceOptions = { url, ttlMs: QUERY_TTL_MS, timeoutMs: QUERY_TIMEOUT_MS };
    const made = Tidegate.create({ sources: { [name]: options }, cacheBytesMax: QUERY_CACHE_BYTES });
    this.made.set(url, made);
    made.catch(() => this.made.delete(url));
    return made;
  }
}
