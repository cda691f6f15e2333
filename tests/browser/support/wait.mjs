// Waiting for what must happen, however slow the machine.

const PATIENCE_MS = 60_000;
const POLL_MS = 100;

/** Tries until `attempt` gives `null`; otherwise it gives what is still wrong. */
export async function eventually(what, attempt) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const wrong = await attempt();
    if (wrong === null) return;
    if (Date.now() > end) throw new Error(`waited ${PATIENCE_MS / 1000} s for ${what}; at last: ${wrong}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
