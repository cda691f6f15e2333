// Rows in time order with named columns: what a chart draws. Rows only ever join at the end, gaps stay gaps.

/** `null` is "no sample", which is not 0. */
export type Cell = number | null;

/** Rows by themselves: each column is as long as `times` (seconds since 1970, rising). */
export interface Batch {
  times: number[];
  columns: Map<string, Cell[]>;
}

/** Samples further apart than this are not joined by a line: twice what the slowest metrics take, and a bit. */
export const GAP_S = 12;

export class Table {
  times: number[] = [];
  columns = new Map<string, Cell[]>();

  /** The time of the last row that holds something, or `null`. */
  get last(): number | null {
    return this.times.at(-1) ?? null;
  }

  get first(): number | null {
    return this.times[0] ?? null;
  }

  /** Forgets what it held and takes the batch. */
  replace(batch: Batch): void {
    this.times = [];
    this.columns = new Map();
    this.append(batch);
  }

  /** Takes the rows that are later than the last one. Returns how many that were. */
  append(batch: Batch): number {
    let taken = 0;
    batch.times.forEach((time, row) => {
      const last = this.last;
      if (last !== null && time <= last) return;
      if (last !== null && time - last > GAP_S) this.push(last + 1, () => null);
      this.push(time, (name) => batch.columns.get(name)?.[row] ?? null, batch.columns.keys());
      taken += 1;
    });
    return taken;
  }

  /** Drops the rows before `time`. */
  trim(time: number): void {
    const keep = this.times.findIndex((at) => at >= time);
    const drop = keep < 0 ? this.times.length : keep;
    if (drop === 0) return;
    this.times.splice(0, drop);
    for (const [name, cells] of this.columns) {
      cells.splice(0, drop);
      if (cells.every((cell) => cell === null)) this.columns.delete(name);
    }
  }

  /** The last value of a column that is one, or `null`. */
  latest(name: string): Cell {
    return this.columns.get(name)?.at(-1) ?? null;
  }

  private push(time: number, cell: (name: string) => Cell, names: Iterable<string> = []): void {
    for (const name of names) {
      if (!this.columns.has(name)) this.columns.set(name, new Array<Cell>(this.times.length).fill(null));
    }
    this.times.push(time);
    for (const [name, cells] of this.columns) cells.push(cell(name));
  }
}
