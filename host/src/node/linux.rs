//! The machine as `/proc` shows it.

use anyhow::{Context, Result};
use procfs::net::DeviceStatus;
use procfs::{Current, CurrentSI, DiskStat, DiskStats, KernelStats, LoadAverage, Meminfo};

use super::batch::Batch;
use super::metrics::{self, Metric};
use super::part::Part;

/// The kernel counts in sectors of this size, whatever the device's own.
const SECTOR_BYTES: u64 = 512;

/// What is looked at every interval.
pub(super) fn quick() -> Vec<Box<dyn Part>> {
    vec![
        Box::new(("cpu", cpu)),
        Box::new(("memory", memory)),
        Box::new(("disks", disks)),
        Box::new(("network", network)),
        Box::new(("load", load)),
        Box::new(("time", time)),
        Box::new(("uname", uname)),
    ]
}

/// What may hang.
pub(super) fn slow() -> Vec<Box<dyn Part>> {
    vec![Box::new(("filesystems", super::filesystem::filesystems))]
}

fn cpu(batch: &mut Batch<'_>) -> Result<()> {
    let stats = KernelStats::current().context("reading /proc/stat")?;
    for (index, cpu) in stats.cpu_time.iter().enumerate() {
        let name = index.to_string();
        let modes = [
            ("idle", Some(cpu.idle_ms())),
            ("iowait", cpu.iowait_ms()),
            ("irq", cpu.irq_ms()),
            ("nice", Some(cpu.nice_ms())),
            ("softirq", cpu.softirq_ms()),
            ("steal", cpu.steal_ms()),
            ("system", Some(cpu.system_ms())),
            ("user", Some(cpu.user_ms())),
        ];
        for (mode, ms) in modes {
            if let Some(ms) = ms {
                batch.push(
                    &metrics::CPU_SECONDS,
                    &[("cpu", &name), ("mode", mode)],
                    seconds(ms),
                );
            }
        }
    }
    batch.push_count(&metrics::BOOT_TIME, &[], stats.btime);
    Ok(())
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn memory(batch: &mut Batch<'_>) -> Result<()> {
    let memory = Meminfo::current().context("reading /proc/meminfo")?;
    let fields: [(&'static Metric, Option<u64>); 7] = [
        (&metrics::MEMORY_TOTAL, Some(memory.mem_total)),
        (&metrics::MEMORY_FREE, Some(memory.mem_free)),
        (&metrics::MEMORY_AVAILABLE, memory.mem_available),
        (&metrics::MEMORY_BUFFERS, Some(memory.buffers)),
        (&metrics::MEMORY_CACHED, Some(memory.cached)),
        (&metrics::SWAP_TOTAL, Some(memory.swap_total)),
        (&metrics::SWAP_FREE, Some(memory.swap_free)),
    ];
    for (metric, bytes) in fields {
        if let Some(bytes) = bytes {
            batch.push_count(metric, &[], bytes);
        }
    }
    Ok(())
}

fn disks(batch: &mut Batch<'_>) -> Result<()> {
    let DiskStats(disks) = DiskStats::current().context("reading /proc/diskstats")?;
    for disk in disks.iter().filter(|disk| is_whole_disk(&disk.name)) {
        push_disk(batch, disk);
    }
    Ok(())
}

fn push_disk(batch: &mut Batch<'_>, disk: &DiskStat) {
    let labels = [("device", disk.name.as_str())];
    batch.push_count(
        &metrics::DISK_READ_BYTES,
        &labels,
        disk.sectors_read.saturating_mul(SECTOR_BYTES),
    );
    batch.push_count(
        &metrics::DISK_WRITTEN_BYTES,
        &labels,
        disk.sectors_written.saturating_mul(SECTOR_BYTES),
    );
    batch.push_count(&metrics::DISK_READS, &labels, disk.reads);
    batch.push_count(&metrics::DISK_WRITES, &labels, disk.writes);
    batch.push(
        &metrics::DISK_IO_SECONDS,
        &labels,
        seconds(disk.time_in_progress),
    );
}

/// Leaves out what node_exporter does: RAM disks, loop and floppy devices, and partitions of
/// disks (`sda1`, `nvme0n1p2`).
fn is_whole_disk(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return true;
    }
    if matches!(stem, "ram" | "zram" | "loop" | "fd") {
        return false;
    }
    // One letter names the disk: sda, hdb, vdc, xvdd.
    let is_disk = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|letter| letter.len() == 1 && letter.as_bytes()[0].is_ascii_lowercase())
    };
    let is_nvme_partition = stem.starts_with("nvme") && stem.ends_with('p');
    !(["sd", "hd", "vd", "xvd"].into_iter().any(is_disk) || is_nvme_partition)
}

fn network(batch: &mut Batch<'_>) -> Result<()> {
    let mut devices: Vec<DeviceStatus> = procfs::net::dev_status()
        .context("reading /proc/net/dev")?
        .into_values()
        .collect();
    devices.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    for device in &devices {
        let labels = [("device", device.name.as_str())];
        let fields: [(&'static Metric, u64); 8] = [
            (&metrics::NETWORK_RECEIVE_BYTES, device.recv_bytes),
            (&metrics::NETWORK_RECEIVE_PACKETS, device.recv_packets),
            (&metrics::NETWORK_RECEIVE_ERRORS, device.recv_errs),
            (&metrics::NETWORK_RECEIVE_DROPS, device.recv_drop),
            (&metrics::NETWORK_TRANSMIT_BYTES, device.sent_bytes),
            (&metrics::NETWORK_TRANSMIT_PACKETS, device.sent_packets),
            (&metrics::NETWORK_TRANSMIT_ERRORS, device.sent_errs),
            (&metrics::NETWORK_TRANSMIT_DROPS, device.sent_drop),
        ];
        for (metric, count) in fields {
            batch.push_count(metric, &labels, count);
        }
    }
    Ok(())
}

fn load(batch: &mut Batch<'_>) -> Result<()> {
    let load = LoadAverage::current().context("reading /proc/loadavg")?;
    for (metric, value) in [
        (&metrics::LOAD1, load.one),
        (&metrics::LOAD5, load.five),
        (&metrics::LOAD15, load.fifteen),
    ] {
        // The kernel prints two decimals, which 32 bits hold only nearly.
        batch.push(metric, &[], (f64::from(value) * 100.0).round() / 100.0);
    }
    Ok(())
}

fn time(batch: &mut Batch<'_>) -> Result<()> {
    let now_ms = batch.timestamp_ms();
    batch.push(&metrics::TIME, &[], now_ms as f64 / 1000.0);
    Ok(())
}

fn uname(batch: &mut Batch<'_>) -> Result<()> {
    let uname = rustix::system::uname();
    let [domain, machine, node, release, system, version] = [
        uname.domainname(),
        uname.machine(),
        uname.nodename(),
        uname.release(),
        uname.sysname(),
        uname.version(),
    ]
    .map(|text| text.to_string_lossy());
    let labels = [
        ("domainname", &*domain),
        ("machine", &*machine),
        ("nodename", &*node),
        ("release", &*release),
        ("sysname", &*system),
        ("version", &*version),
    ];
    batch.push(&metrics::UNAME_INFO, &labels, 1.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_and_devices_of_memory_are_left_out() {
        for name in [
            "sda", "vdb", "xvda", "nvme0n1", "dm-0", "md127", "mmcblk0", "sr0",
        ] {
            assert!(is_whole_disk(name), "{name}");
        }
        for name in [
            "sda1",
            "vdb12",
            "xvda2",
            "hdc1",
            "nvme0n1p1",
            "loop0",
            "ram1",
            "zram0",
            "fd0",
        ] {
            assert!(!is_whole_disk(name), "{name}");
        }
    }

    #[test]
    fn every_cpu_has_its_seconds_by_mode() {
        let mut cache = super::super::batch::LabelCache::default();
        let mut batch = Batch::new(&mut cache, 0);
        cpu(&mut batch).unwrap();
        let record = batch.finish("node");
        let of_first = record
            .samples
            .iter()
            .filter(|sample| sample.labels.value("cpu") == Some("0"));
        let modes: Vec<&str> = of_first
            .filter_map(|sample| sample.labels.value("mode"))
            .collect();
        assert_eq!(
            modes,
            [
                "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"
            ]
        );
    }
}
