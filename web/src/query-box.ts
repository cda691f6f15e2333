// The box to type a question into: history and suggestions by keyboard, the source to ask, and the answer below.

import type { Answer, Labels } from "tidegate";
import { QUERY_LIMITS, type QueryCollectors } from "./collector.js";
import { el, setText } from "./dom.js";
import { took } from "./format.js";
import { browserStore, History } from "./history.js";
import { Pill } from "./pill.js";
import { renderAnswer, renderError } from "./query-result.js";
import type { Source } from "./sources.js";
import { FUNCTIONS, suggest, wordAt } from "./suggest.js";

const EXAMPLES = ["node_load1", "node_memory_MemAvailable_bytes", "node_load1[5m]", 'node_cpu_seconds_total{mode="user"}'];
/** Names are learned from answers; a source with more is not listed whole. */
const NAMES_MAX = 5000;

export class QueryBox {
  readonly node: HTMLElement;
  private readonly input = el("input", {
    testid: "query-input",
    attrs: {
      id: "query",
      type: "text",
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      role: "combobox",
      "aria-expanded": "false",
      "aria-autocomplete": "list",
      "aria-controls": "suggestions",
      "aria-label": "PromQL query",
      placeholder: "PromQL, for example node_load1 or node_load1[5m]",
    },
  });
  private readonly list = el("ul", { class: "suggestions", attrs: { id: "suggestions", role: "listbox", "aria-label": "Suggestions" } });
  private readonly select = el("select", { testid: "query-source", attrs: { "aria-label": "Source" } });
  private readonly button = el("button", { class: "button primary", testid: "query-run", attrs: { type: "submit" } }, "Run");
  private readonly pill = new Pill(QUERY_LIMITS);
  private readonly timing = el("span", { class: "timing", testid: "query-timing", attrs: { role: "status" } });
  private readonly meta = el("div", { class: "query-meta" }, this.pill.node, this.timing);
  private readonly output = el("div", { class: "query-output" });
  private readonly history = new History(browserStore());
  private readonly names = new Map<string, Set<string>>();
  private sources: Source[] = [];
  private active = -1;
  private asked = 0;

  constructor(private readonly collectors: QueryCollectors) {
    this.list.hidden = true;
    this.meta.hidden = true;
    const form = el("form", { class: "query-form" }, this.select, el("div", { class: "query-field" }, this.input, this.list), this.button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.run();
    });
    this.input.addEventListener("input", () => this.complete());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => this.closeList());
    this.node = el(
      "section",
      { class: "card query", attrs: { "aria-label": "Query" } },
      el("header", { class: "card-head" }, el("h2", {}, "Query"), el("span", { class: "card-note" }, "↑ ↓ history · / to focus"), this.meta),
      form,
      this.examples(),
      this.output,
    );
  }

  /** Offers these sources; the one chosen stays chosen where it is still there. */
  offer(sources: Source[]): void {
    const chosen = this.select.value;
    this.sources = sources;
    this.select.replaceChildren(
      ...sources.map((source) => {
        const down = source.health === "down";
        const title = source.lastError === null ? {} : { title: source.lastError };
        return el("option", { ...title, attrs: { value: source.name } }, down ? `${source.name} (down)` : source.name);
      }),
    );
    if (sources.some((source) => source.name === chosen)) this.select.value = chosen;
    this.select.hidden = sources.length < 2;
  }

  /** Learns metric names for the suggestions. */
  learn(source: string, metrics: readonly Labels[]): void {
    const known = this.names.get(source) ?? new Set<string>();
    this.names.set(source, known);
    for (const labels of metrics) {
      const name = labels["__name__"];
      if (name !== undefined && known.size < NAMES_MAX) known.add(name);
    }
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  private get source(): Source | undefined {
    return this.sources.find((source) => source.name === this.select.value) ?? this.sources[0];
  }

  private async run(): Promise<void> {
    const expr = this.input.value.trim();
    const source = this.source;
    this.closeList();
    if (expr === "" || source === undefined) return;
    this.history.add(expr);
    this.asked += 1;
    const turn = this.asked;
    this.button.disabled = true;
    const began = performance.now();
    try {
      const tidegate = await this.collectors.at(source.name, source.url);
      const answer = await tidegate.query(expr, { source: source.name });
      if (turn === this.asked) this.show(answer, performance.now() - began, source.name);
    } catch (error) {
      if (turn === this.asked) this.fail(error, performance.now() - began, source.name);
    } finally {
      if (turn === this.asked) this.button.disabled = false;
    }
  }

  private show(answer: Answer, ms: number, source: string): void {
    const many = answer.type === "vector" || answer.type === "matrix" ? `${answer.metrics.length} series · ` : "";
    this.pill.node.hidden = false;
    this.pill.show(answer, true);
    setText(this.timing, `${many}${took(ms)} · ${source}`);
    this.meta.hidden = false;
    this.output.replaceChildren(renderAnswer(answer));
    if (answer.type === "vector" || answer.type === "matrix") this.learn(source, answer.metrics);
  }

  private fail(error: unknown, ms: number, source: string): void {
    this.pill.node.hidden = true;
    setText(this.timing, `failed after ${took(ms)} · ${source}`);
    this.meta.hidden = false;
    this.output.replaceChildren(renderError(error));
  }

  private examples(): HTMLElement {
    return el(
      "div",
      { class: "examples" },
      ...EXAMPLES.map((expr) => {
        const chip = el("button", { class: "chip", attrs: { type: "button" } }, expr);
        chip.addEventListener("click", () => {
          this.input.value = expr;
          void this.run();
        });
        return chip;
      }),
    );
  }

  private key(event: KeyboardEvent): void {
    const open = !this.list.hidden;
    switch (event.key) {
      case "ArrowUp":
      case "ArrowDown":
        event.preventDefault();
        if (open) this.move(event.key === "ArrowUp" ? -1 : 1);
        else this.recall(event.key === "ArrowUp" ? this.history.older(this.input.value) : this.history.newer());
        break;
      case "Enter":
      case "Tab":
        if (open && this.active >= 0) {
          event.preventDefault();
          this.accept(this.active);
        }
        break;
      case "Escape":
        this.closeList();
        break;
      default:
    }
  }

  private recall(question: string | null): void {
    if (question === null) return;
    this.input.value = question;
    this.input.setSelectionRange(question.length, question.length);
  }

  private complete(): void {
    const word = wordAt(this.input.value, this.input.selectionStart ?? 0);
    const source = this.source;
    const names = [...(this.names.get(source?.name ?? "") ?? []), ...(source?.kind === "prometheus" ? FUNCTIONS : [])];
    const found = word === null ? [] : suggest(word.text, names);
    this.active = -1;
    this.list.replaceChildren(
      ...found.map((name, at) => {
        const item = el("li", { attrs: { role: "option", id: `suggestion-${at}`, "aria-selected": "false" } }, name);
        // Pressing must not take the focus away from the input, or the list would be gone before the click.
        item.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          this.accept(at);
        });
        return item;
      }),
    );
    this.list.hidden = found.length === 0;
    this.input.setAttribute("aria-expanded", String(found.length > 0));
    this.input.removeAttribute("aria-activedescendant");
  }

  private move(by: number): void {
    const count = this.list.children.length;
    this.active = this.active < 0 && by < 0 ? count - 1 : (this.active + by + count) % count;
    [...this.list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === this.active)));
    this.input.setAttribute("aria-activedescendant", `suggestion-${this.active}`);
  }

  private accept(at: number): void {
    const name = this.list.children[at]?.textContent;
    const word = wordAt(this.input.value, this.input.selectionStart ?? 0);
    if (name === null || name === undefined || word === null) return;
    this.input.setRangeText(name, word.start, word.end, "end");
    this.closeList();
  }

  private closeList(): void {
    this.list.hidden = true;
    this.active = -1;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
