//! The machine as `sysinfo` shows it, where there is no `/proc`. CPU seconds by mode are not to be
//! had that way, so they are left out.

use anyhow::Result;
use sysinfo::{Disks, Networks, System};

use super::batch::Batch;
use super::metrics::{self, Metric};
use super::part::Part;

/// What is looked at every interval.
pub(super) fn quick() -> Vec<Box<dyn Part>> {
    let mut system = None;
    let mut networks = None;
    vec![
        Box::new(("memory", move |batch: &mut Batch<'_>| {
            memory(opened(&mut system, System::new)?, batch)
        })),
        Box::new(("network", move |batch: &mut Batch<'_>| {
            network(
                opened(&mut networks, Networks::new_with_refreshed_list)?,
                batch,
            )
        })),
        Box::new(("load", load)),
        Box::new(("time", time)),
        Box::new(("uname", uname)),
    ]
}

/// What may hang.
pub(super) fn slow() -> Vec<Box<dyn Part>> {
    let mut disks = None;
    vec![Box::new(("filesystems", move |batch: &mut Batch<'_>| {
        filesystems(opened(&mut disks, Disks::new_with_refreshed_list)?, batch)
    }))]
}

/// What is in `slot`, opened at the first use that succeeds.
fn opened<T>(
    slot: &mut Option<T>,
    open: impl FnOnce() -> Result<T, sysinfo::Error>,
) -> Result<&mut T> {
    match slot {
        Some(open) => Ok(open),
        None => Ok(slot.insert(open().map_err(seen)?)),
    }
}

fn seen(error: sysinfo::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

fn memory(system: &mut System, batch: &mut Batch<'_>) -> Result<()> {
    system.refresh_memory();
    let fields: [(&'static Metric, u64); 5] = [
        (&metrics::MEMORY_TOTAL, system.total_memory()),
        (&metrics::MEMORY_FREE, system.free_memory()),
        (&metrics::MEMORY_AVAILABLE, system.available_memory()),
        (&metrics::SWAP_TOTAL, system.total_swap()),
        (&metrics::SWAP_FREE, system.free_swap()),
    ];
    for (metric, bytes) in fields {
        batch.push_count(metric, &[], bytes);
    }
    Ok(())
}

fn network(networks: &mut Networks, batch: &mut Batch<'_>) -> Result<()> {
    networks.refresh(true);
    let mut devices: Vec<_> = networks
        .iter()
        .map(|(name, device)| (name.to_string_lossy(), device))
        .collect();
    devices.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    for (name, device) in devices {
        let labels = [("device", &*name)];
        let fields: [(&'static Metric, u64); 6] = [
            (&metrics::NETWORK_RECEIVE_BYTES, device.total_received()),
            (
                &metrics::NETWORK_RECEIVE_PACKETS,
                device.total_packets_received(),
            ),
            (
                &metrics::NETWORK_RECEIVE_ERRORS,
                device.total_errors_on_received(),
            ),
            (&metrics::NETWORK_TRANSMIT_BYTES, device.total_transmitted()),
            (
                &metrics::NETWORK_TRANSMIT_PACKETS,
                device.total_packets_transmitted(),
            ),
            (
                &metrics::NETWORK_TRANSMIT_ERRORS,
                device.total_errors_on_transmitted(),
            ),
        ];
        for (metric, count) in fields {
            batch.push_count(metric, &labels, count);
        }
    }
    Ok(())
}

fn load(batch: &mut Batch<'_>) -> Result<()> {
    let load = System::load_average().map_err(seen)?;
    batch.push(&metrics::LOAD1, &[], load.one);
    batch.push(&metrics::LOAD5, &[], load.five);
    batch.push(&metrics::LOAD15, &[], load.fifteen);
    batch.push_count(&metrics::BOOT_TIME, &[], System::boot_time().map_err(seen)?);
    Ok(())
}

fn time(batch: &mut Batch<'_>) -> Result<()> {
    let now_ms = batch.timestamp_ms();
    batch.push(&metrics::TIME, &[], now_ms as f64 / 1000.0);
    Ok(())
}

fn uname(batch: &mut Batch<'_>) -> Result<()> {
    let known = |text: Result<String, sysinfo::Error>| text.unwrap_or_default();
    let [node, release, system, version] = [
        System::host_name(),
        System::kernel_version(),
        System::name(),
        System::os_version(),
    ]
    .map(known);
    let labels = [
        ("domainname", ""),
        ("machine", std::env::consts::ARCH),
        ("nodename", node.as_str()),
        ("release", release.as_str()),
        ("sysname", system.as_str()),
        ("version", version.as_str()),
    ];
    batch.push(&metrics::UNAME_INFO, &labels, 1.0);
    Ok(())
}

fn filesystems(disks: &mut Disks, batch: &mut Batch<'_>) -> Result<()> {
    disks.refresh(true);
    for disk in disks.iter() {
        let (device, kind, at) = (
            disk.name().to_string_lossy(),
            disk.file_system().to_string_lossy(),
            disk.mount_point().to_string_lossy(),
        );
        let labels = [
            ("device", &*device),
            ("fstype", &*kind),
            ("mountpoint", &*at),
        ];
        batch.push_count(&metrics::FILESYSTEM_SIZE, &labels, disk.total_space());
        batch.push_count(
            &metrics::FILESYSTEM_AVAILABLE,
            &labels,
            disk.available_space(),
        );
        batch.push_count(&metrics::FILESYSTEM_FREE, &labels, disk.available_space());
    }
    Ok(())
}
