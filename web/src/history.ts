// The questions asked before, for the arrow keys; kept in the browser's storage where there is one.

/** Older questions are forgotten. */
const ENTRIES_MAX = 100;
/** A longer question is asked but not remembered. */
const ENTRY_CHARS_MAX = 4096;

/** Where the questions are kept; `localStorage` has this shape. */
export interface Store {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

const KEY = "tidegate.queries";

export class History {
  private entries: string[];
  /** Where the arrow keys stand; one past the last entry is the draft. */
  private at: number;
  private draft = "";

  constructor(private readonly store: Store | null) {
    this.entries = read(store);
    this.at = this.entries.length;
  }

  /** Remembers a question that was asked, once however often it was asked. */
  add(question: string): void {
    if (question.length <= ENTRY_CHARS_MAX) {
      this.entries = [...this.entries.filter((entry) => entry !== question), question].slice(-ENTRIES_MAX);
      try {
        this.store?.setItem(KEY, JSON.stringify(this.entries));
      } catch {
        // A full or forbidden store only costs the memory across visits.
      }
    }
    this.at = this.entries.length;
  }

  /** The question before; the first one stays. `current` is kept as the draft when leaving it. */
  older(current: string): string | null {
    if (this.at === 0) return null;
    if (this.at === this.entries.length) this.draft = current;
    this.at -= 1;
    return this.entries[this.at] ?? null;
  }

  /** The question after, and past the last one the draft. */
  newer(): string | null {
    if (this.at >= this.entries.length) return null;
    this.at += 1;
    return this.entries[this.at] ?? this.draft;
  }
}

function read(store: Store | null): string[] {
  try {
    const entries: unknown = JSON.parse(store?.getItem(KEY) ?? "[]");
    return Array.isArray(entries) ? entries.filter((entry) => typeof entry === "string").slice(-ENTRIES_MAX) : [];
  } catch {
    return [];
  }
}

/** The browser's storage, or `null` where the page may not use it. */
export function browserStore(): Store | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
