// Turns numbers into the few characters that say them: SI and binary units, ages, spans, clock times.

const NONE = "–";
const SI = ["", "k", "M", "G", "T", "P", "E"];
const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

export interface Quantity {
  number: string;
  unit: string;
}

/** About three significant digits, never an exponent for numbers below a million. */
export function digits(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}

function scaled(value: number, base: number, prefixes: readonly string[], unit: string): Quantity {
  if (!Number.isFinite(value)) return { number: digits(value), unit };
  let power = 0;
  let rest = value;
  // 999.5 would print as 1000, which is 1.00 of the next prefix.
  while (Math.abs(rest) >= base - 0.5 && power < prefixes.length - 1) {
    rest /= base;
    power += 1;
  }
  const whole = power === 0 && (Math.abs(rest) >= 10 || Number.isInteger(rest));
  return { number: whole ? rest.toFixed(0) : digits(rest), unit: `${prefixes[power] ?? ""}${unit}` };
}

/** Bytes with binary prefixes: `3.72 GiB`. */
export const bytes = (value: number): Quantity => scaled(value, 1024, BINARY, "B");

/** Bytes per second with decimal prefixes: `1.25 MB/s`. */
export const bytesPerSecond = (value: number): Quantity => scaled(value, 1000, SI, "B/s");

/** A share of 100: `37.5 %`. */
export function percent(value: number): Quantity {
  const number = Number.isFinite(value) ? value.toFixed(Math.abs(value) >= 99.95 ? 0 : 1) : digits(value);
  return { number, unit: "%" };
}

/** A bare number with two decimals at most. */
export const plain = (value: number): Quantity => ({ number: digits(value), unit: "" });

/** The quantity in one string; `null` is a dash. */
export function say(value: number | null | undefined, unit: (value: number) => Quantity): string {
  if (value === null || value === undefined) return NONE;
  const { number, unit: suffix } = unit(value);
  return suffix === "" ? number : `${number} ${suffix}`;
}

/** How old something is, from milliseconds: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`. Never negative. */
export function age(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${seconds.toFixed(0)} s`;
  if (seconds < 3600 * 1.5) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400 * 2) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** A span in its two largest units, from seconds: `3 d 4 h`, `12 min 5 s`. */
export function span(seconds: number): string {
  if (!Number.isFinite(seconds)) return NONE;
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([count], index) => index === 0 || count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** How long a query took, from milliseconds: `0.84 ms`, `12.3 ms`, `1.20 s`. */
export function took(ms: number): string {
  return ms < 1000 ? `${digits(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** Local time of day: `14:03`, with seconds `14:03:09`. */
export function clock(ms: number, seconds = true): string {
  const date = new Date(ms);
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return seconds ? `${minutes}:${two(date.getSeconds())}` : minutes;
}

/** A sample's value the way Prometheus writes numbers, complete. */
export function exact(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}

/** A series in selector form, `name{a="1",b="2"}`; labels in the order of their names. */
export function seriesName(labels: Readonly<Record<string, string>>): string {
  const name = labels["__name__"] ?? "";
  const pairs = Object.keys(labels)
    .filter((label) => label !== "__name__")
    .sort()
    .map((label) => `${label}=${JSON.stringify(labels[label] ?? "")}`);
  return pairs.length === 0 && name !== "" ? name : `${name}{${pairs.join(", ")}}`;
}
