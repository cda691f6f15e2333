// Network: bytes per second by device, received above the line, sent below.

import { flow } from "./flow.js";

export const network = flow({
  id: "network",
  title: "Network",
  chartTitle: "Network",
  chartNote: "↓ received above, ↑ sent below",
  label: "Bytes per second by network device, received above zero, sent below",
  into: "node_network_receive_bytes_total",
  out: "node_network_transmit_bytes_total",
  signs: ["↓", "↑"],
  // The loopback device, and what containers and bridges carry on towards a real one.
  secondary: /^(lo|veth.*|br-.*|docker.*|ifb.*|dummy.*|virbr.*|cali.*|flannel.*|cni.*)$/,
});
