// Keeps one panel's rows up to date: the whole window once, then the last seconds again and again, gaps when they show.

import { TidegateError, type Answer, type MatrixAnswer, type Tidegate, type Watch } from "tidegate";
import { LIVE } from "./collector.js";
import { GAP_S, Table, type Batch } from "./table.js";

/** What a panel asks for: a selector without its range, and how its answer becomes rows. */
export interface Topic {
  selector: string;
  derive: (answer: MatrixAnswer) => Batch;
}

/** Longer than a gap may be, so that polls which follow on each other overlap. */
const TAIL_S = 15;
/** Windows to fall back on when the server refuses a long one for its size. */
const WINDOWS_S = [3600, 900, 300, 60];
const TAIL = `[${TAIL_S}s]`;

export class Feed {
  readonly table = new Table();
  /** The newest answer. */
  answer: MatrixAnswer | null = null;
  /** Why the last poll brought nothing; `null` after one that did. */
  error: Error | null = null;

  private watch: Watch | null = null;
  private windowS = 0;
  private filledS = 0;
  private catchingUp = false;
  private generation = 0;

  constructor(
    private readonly tidegate: Tidegate,
    private readonly topic: Topic,
    private readonly changed: (feed: Feed) => void,
  ) {}

  /** Polls every `everyMs` and holds `windowS` seconds; called again, it changes both. */
  start(windowS: number, everyMs: number): void {
    this.stop();
    this.windowS = windowS;
    this.watch = this.tidegate.watch(`${this.topic.selector}${TAIL}`, { source: LIVE, everyMs }, (said) => {
      if (said instanceof Error) this.failed(said);
      else void this.take(said);
    });
  }

  /** Asks no more until it is started again; what is there stays. */
  stop(): void {
    this.generation += 1;
    this.catchingUp = false;
    this.watch?.stop();
    this.watch = null;
  }

  private async take(answer: Answer): Promise<void> {
    if (answer.type !== "matrix" || this.catchingUp) return;
    this.answer = answer;
    this.error = null;
    const rows = this.topic.derive(answer);
    const lacking = this.lackingS(rows);
    if (lacking > 0) await this.catchUp(lacking);
    else this.table.append(rows);
    this.table.trim((this.table.last ?? 0) - this.windowS - GAP_S);
    this.changed(this);
  }

  /** How many seconds back the rows at hand must be completed; 0 when they follow on what is there. */
  private lackingS(rows: Batch): number {
    if (this.filledS < this.windowS) return this.windowS;
    const last = this.table.last;
    const first = rows.times[0];
    if (last === null || first === undefined || first <= last + GAP_S) return 0;
    return Math.min(this.windowS, Math.ceil((rows.times.at(-1) ?? first) - last) + TAIL_S);
  }

  private async catchUp(seconds: number): Promise<void> {
    const generation = this.generation;
    this.catchingUp = true;
    try {
      const answer = await this.fetchWindow(seconds);
      if (generation !== this.generation || answer.type !== "matrix") return;
      const rows = this.topic.derive(answer);
      if (this.filledS < this.windowS) this.table.replace(rows);
      else this.table.append(rows);
      this.filledS = Math.max(this.filledS, this.windowS);
    } catch (error) {
      if (generation === this.generation) this.failed(error);
    } finally {
      if (generation === this.generation) this.catchingUp = false;
    }
  }

  /** The last `seconds`; where the server refuses so much at once, the longest window it does not refuse. */
  private async fetchWindow(seconds: number): Promise<Answer> {
    const shorter = WINDOWS_S.filter((window) => window < seconds);
    for (let ask = seconds; ; ) {
      try {
        return await this.tidegate.query(`${this.topic.selector}[${ask}s]`, { source: LIVE });
      } catch (error) {
        const next = shorter.shift();
        if (next === undefined || isAway(error)) throw error;
        ask = next;
      }
    }
  }

  private failed(error: unknown): void {
    this.error = error instanceof Error ? error : new Error(String(error));
    this.changed(this);
  }
}

/** Whether the server did not answer at all, so that asking for less is no help. */
function isAway(error: unknown): boolean {
  return !(error instanceof TidegateError) || (error.status === undefined && error.kind === "unavailable");
}
