// What age makes of data between two answers: the collector judges every answer, this only lets it grow older.

import type { Freshness } from "tidegate";

/** Ages at which data changes its name, in milliseconds. */
export interface Thresholds {
  freshBelowMs: number;
  unavailablePastMs: number;
}

const RANK: Record<Freshness, number> = { fresh: 0, stale: 1, unavailable: 2, missing: 3 };

/** The worse of two; `missing` is the worst. */
export function worse(a: Freshness, b: Freshness): Freshness {
  return RANK[a] >= RANK[b] ? a : b;
}

/** The collector's verdict, or what the age since then has made of it, whichever is worse. */
export function freshnessNow(verdict: Freshness, ageMs: number, limits: Thresholds): Freshness {
  if (ageMs > limits.unavailablePastMs) return worse(verdict, "unavailable");
  if (ageMs >= limits.freshBelowMs) return worse(verdict, "stale");
  return verdict;
}
