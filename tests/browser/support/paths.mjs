// Where things are, whatever folder a test is started from.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder with the workspace's Cargo.toml. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

/** A path below target/tidegate/; missing, it says what builds it. */
export function artefact(name, piece) {
  const path = join(root, "target/tidegate", name);
  if (!existsSync(path)) throw new Error(`there is no ${path}: run cargo xtask build ${piece}`);
  return path;
}

/** The program under test: TIDEGATE_BIN, or what cargo built last for debugging. */
export function program() {
  const path = process.env.TIDEGATE_BIN ?? join(root, "target/debug/tidegate");
  if (!existsSync(path)) throw new Error(`there is no ${path}: run cargo xtask build host`);
  return path;
}
