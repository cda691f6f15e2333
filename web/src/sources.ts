// Which sources the server has, from `/health`. The page works without that list, on the server's default source.

/** A source to put questions to. */
export interface Source {
  name: string;
  /** `prometheus`, `local`, … as the server says it. */
  kind: string;
  health: string;
  lastError: string | null;
  /** Base URL of its query API. */
  url: string;
}

const TIMEOUT_MS = 3000;
/** More sources than this are no list a person chooses from. */
const SOURCES_MAX = 100;

/** What `/health` lists; empty when the server has no such list, `null` when it does not answer. Never rejects. */
export async function listSources(origin: string): Promise<Source[] | null> {
  try {
    const response = await fetch(`${origin}/health`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body: unknown = await response.json().catch((error: unknown) => {
      if (error instanceof SyntaxError) return null;
      throw error;
    });
    return parseSources(body, origin);
  } catch {
    return null;
  }
}

/** Reads the list out of a `/health` body; entries of another shape are left out. */
export function parseSources(body: unknown, origin: string): Source[] {
  if (!isRecord(body) || !Array.isArray(body["sources"])) return [];
  const list: unknown[] = body["sources"];
  return list.slice(0, SOURCES_MAX).flatMap((entry): Source[] => {
    if (!isRecord(entry)) return [];
    const { name, kind, health, last_error: error } = entry;
    const lastError = isRecord(error) ? error["message"] : error;
    if (typeof name !== "string" || name === "") return [];
    return [
      {
        name,
        kind: typeof kind === "string" ? kind : "unknown",
        health: typeof health === "string" ? health : "unknown",
        lastError: typeof lastError === "string" && lastError !== "" ? lastError : null,
        url: `${origin}/source/${encodeURIComponent(name)}`,
      },
    ];
  });
}

/** The source with this machine's own metrics: `node`, else what is local, else the server's default. */
export function machineSource(sources: readonly Source[], origin: string): Source {
  return (
    sources.find((source) => source.name === "node") ??
    sources.find((source) => source.kind === "local") ?? {
      name: "default",
      kind: "unknown",
      health: "unknown",
      lastError: null,
      url: origin,
    }
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
