// Light or dark: the system's choice until the reader makes one, which is then remembered.

export type Theme = "light" | "dark";

const KEY = "tidegate.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners: (() => void)[] = [];

/** The theme in force. */
export function theme(): Theme {
  return chosen() ?? (system.matches ? "dark" : "light");
}

/** Puts the remembered choice in force and follows the system where there is none. */
export function startTheme(): void {
  apply();
  system.addEventListener("change", apply);
}

/** Changes to the other theme. A choice that is the system's own is forgotten again. */
export function toggleTheme(): void {
  const next: Theme = theme() === "dark" ? "light" : "dark";
  store((next === "dark") === system.matches ? null : next);
  apply();
}

/** Calls back after every change. */
export function onTheme(listener: () => void): void {
  listeners.push(listener);
}

/** A colour token as the canvas can use it: resolved for the theme in force. */
export function color(token: string): string {
  const known = resolved.get(token);
  if (known !== undefined) return known;
  probe.style.color = `var(--${token})`;
  const value = getComputedStyle(probe).color;
  resolved.set(token, value);
  return value;
}

/** The same colour, see-through: `alpha` from 0 to 1. */
export function tint(token: string, alpha: number): string {
  const [red = "0", green = "0", blue = "0"] = color(token).match(/[\d.]+/g) ?? [];
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

const resolved = new Map<string, string>();
const probe = document.createElement("span");
probe.hidden = true;
document.documentElement.append(probe);

function apply(): void {
  document.documentElement.style.colorScheme = theme();
  resolved.clear();
  for (const listener of listeners) listener();
}

function chosen(): Theme | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null;
  }
}

function store(value: Theme | null): void {
  try {
    if (value === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, value);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}
