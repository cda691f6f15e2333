// Disks: bytes per second by device, read above the line, written below.

import { flow } from "./flow.js";

export const disk = flow({
  id: "disk",
  title: "Disk",
  chartTitle: "Disk",
  chartNote: "read above, written below",
  label: "Bytes per second by disk, read above zero, written below",
  into: "node_disk_read_bytes_total",
  out: "node_disk_written_bytes_total",
  signs: ["read", "write"],
  // Mapped and combined devices, whose bytes the disks under them count again.
  secondary: /^(dm-\d+|md\d+|loop\d+|z?ram\d+)$/,
});
