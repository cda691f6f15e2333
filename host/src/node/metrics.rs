//! What the node source measures: names, kinds and help, as node_exporter has them.

use tidegate_core::Family;
use tidegate_series::{Metadata, MetricKind};

/// A metric of the node source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    kind: MetricKind,
    help: &'static str,
}

impl Metric {
    const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: MetricKind::Counter,
            help,
        }
    }

    const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: MetricKind::Gauge,
            help,
        }
    }

    pub(super) fn family(&self) -> Family {
        let stem = self.name.strip_suffix("_total").unwrap_or(self.name);
        let unit = ["seconds", "bytes"]
            .into_iter()
            .find(|unit| stem.ends_with(unit))
            .unwrap_or("");
        let metadata = Metadata {
            kind: self.kind,
            unit: unit.into(),
            help: self.help.into(),
        };
        Family {
            name: self.name.to_owned(),
            metadata,
        }
    }
}

pub(super) static CPU_SECONDS: Metric = Metric::counter(
    "node_cpu_seconds_total",
    "Seconds each CPU spent in each mode.",
);

pub(super) static MEMORY_TOTAL: Metric =
    Metric::gauge("node_memory_MemTotal_bytes", "Memory there is, in bytes.");
pub(super) static MEMORY_FREE: Metric = Metric::gauge(
    "node_memory_MemFree_bytes",
    "Memory used for nothing at all, in bytes.",
);
pub(super) static MEMORY_AVAILABLE: Metric = Metric::gauge(
    "node_memory_MemAvailable_bytes",
    "Memory that programs could get without swapping, in bytes, as estimated by the kernel.",
);
pub(super) static MEMORY_BUFFERS: Metric = Metric::gauge(
    "node_memory_Buffers_bytes",
    "Memory that buffers raw disk blocks, in bytes.",
);
pub(super) static MEMORY_CACHED: Metric = Metric::gauge(
    "node_memory_Cached_bytes",
    "Memory that caches files, in bytes.",
);
pub(super) static SWAP_TOTAL: Metric = Metric::gauge(
    "node_memory_SwapTotal_bytes",
    "Swap space there is, in bytes.",
);
pub(super) static SWAP_FREE: Metric = Metric::gauge(
    "node_memory_SwapFree_bytes",
    "Swap space not in use, in bytes.",
);

pub(super) static DISK_READ_BYTES: Metric =
    Metric::counter("node_disk_read_bytes_total", "Bytes read from the device.");
pub(super) static DISK_WRITTEN_BYTES: Metric = Metric::counter(
    "node_disk_written_bytes_total",
    "Bytes written to the device.",
);
pub(super) static DISK_READS: Metric = Metric::counter(
    "node_disk_reads_completed_total",
    "Reads that the device completed.",
);
pub(super) static DISK_WRITES: Metric = Metric::counter(
    "node_disk_writes_completed_total",
    "Writes that the device completed.",
);
pub(super) static DISK_IO_SECONDS: Metric = Metric::counter(
    "node_disk_io_time_seconds_total",
    "Seconds in which the device had anything to do.",
);

pub(super) static FILESYSTEM_SIZE: Metric = Metric::gauge(
    "node_filesystem_size_bytes",
    "Size of the file system, in bytes.",
);
pub(super) static FILESYSTEM_AVAILABLE: Metric = Metric::gauge(
    "node_filesystem_avail_bytes",
    "Space that users without privileges can fill, in bytes.",
);
pub(super) static FILESYSTEM_FREE: Metric = Metric::gauge(
    "node_filesystem_free_bytes",
    "Space not in use, that reserved for root included, in bytes.",
);

pub(super) static NETWORK_RECEIVE_BYTES: Metric = Metric::counter(
    "node_network_receive_bytes_total",
    "Bytes received by the device.",
);
pub(super) static NETWORK_RECEIVE_PACKETS: Metric = Metric::counter(
    "node_network_receive_packets_total",
    "Packets received by the device.",
);
pub(super) static NETWORK_RECEIVE_ERRORS: Metric = Metric::counter(
    "node_network_receive_errs_total",
    "Packets that the device received broken.",
);
pub(super) static NETWORK_RECEIVE_DROPS: Metric = Metric::counter(
    "node_network_receive_drop_total",
    "Packets received and dropped.",
);
pub(super) static NETWORK_TRANSMIT_BYTES: Metric = Metric::counter(
    "node_network_transmit_bytes_total",
    "Bytes sent by the device.",
);
pub(super) static NETWORK_TRANSMIT_PACKETS: Metric = Metric::counter(
    "node_network_transmit_packets_total",
    "Packets sent by the device.",
);
pub(super) static NETWORK_TRANSMIT_ERRORS: Metric = Metric::counter(
    "node_network_transmit_errs_total",
    "Packets that the device failed to send.",
);
pub(super) static NETWORK_TRANSMIT_DROPS: Metric = Metric::counter(
    "node_network_transmit_drop_total",
    "Packets to send that were dropped.",
);

pub(super) static LOAD1: Metric = Metric::gauge("node_load1", "Load average over one minute.");
pub(super) static LOAD5: Metric = Metric::gauge("node_load5", "Load average over five minutes.");
pub(super) static LOAD15: Metric =
    Metric::gauge("node_load15", "Load average over fifteen minutes.");

pub(super) static BOOT_TIME: Metric = Metric::gauge(
    "node_boot_time_seconds",
    "When the machine started, in seconds since 1970 UTC.",
);
pub(super) static TIME: Metric = Metric::gauge(
    "node_time_seconds",
    "What time it is on the machine, in seconds since 1970 UTC.",
);
pub(super) static UNAME_INFO: Metric = Metric::gauge(
    "node_uname_info",
    "What the system says of itself, as labels; the value is 1.",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_from_names() {
        let unit = |metric: &Metric| metric.family().metadata.unit;
        assert_eq!(&*unit(&CPU_SECONDS), "seconds");
        assert_eq!(&*unit(&DISK_READ_BYTES), "bytes");
        assert_eq!(&*unit(&MEMORY_TOTAL), "bytes");
        assert_eq!(&*unit(&LOAD1), "");
    }
}
