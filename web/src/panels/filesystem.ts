// The file system that matters most: `/`, or the largest where there is none.

import { compute, gather } from "../derive.js";
import { bytes, percent, say } from "../format.js";
import type { Subject } from "../panel.js";
import type { Table } from "../table.js";

let shown = "/";

export const filesystem: Subject = {
  id: "filesystem",
  title: "File system",
  topic: {
    selector: '{__name__=~"node_filesystem_(size|avail)_bytes"}',
    derive: (answer) => {
      const sizes = gather(answer, (labels) => `${labels["__name__"] ?? ""} ${labels["mountpoint"] ?? ""}`);
      const mounts = new Map(
        [...sizes.columns]
          .filter(([name]) => name.startsWith("node_filesystem_size_bytes "))
          .map(([name, cells]) => [name.slice("node_filesystem_size_bytes ".length), cells.at(-1) ?? 0]),
      );
      const largest = [...mounts].sort((a, b) => b[1] - a[1])[0]?.[0];
      shown = mounts.has("/") || largest === undefined ? "/" : largest;
      return compute(sizes, (cell) => {
        const size = cell(`node_filesystem_size_bytes ${shown}`);
        const free = cell(`node_filesystem_avail_bytes ${shown}`);
        return { size, free, share: size === null || free === null || size <= 0 ? null : (100 * (size - free)) / size };
      });
    },
  },
  read: (table) => {
    const share = table.latest("share");
    return { quantity: share === null ? null : percent(share), detail: free(table) };
  },
  spark: { cells: (table) => table.columns.get("share") ?? [], top: () => 100 },
};

function free(table: Table): string {
  return `${shown} · ${say(table.latest("free"), bytes)} free`;
}
