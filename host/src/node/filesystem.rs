//! How full the file systems are.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use procfs::Current;
use procfs::MountEntry;

use super::batch::Batch;
use super::metrics;

/// More mounts than these are containers' own, and not looked at: some orchestrators make
/// thousands.
const MOUNTS_MAX: usize = 256;

/// File systems that show the kernel's state or other file systems, and take no space of a disk.
const UNREAL: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

/// Below these are mounts of the system and of containers.
const HIDDEN_BELOW: &[&str] = &[
    "/dev",
    "/proc",
    "/run/credentials",
    "/sys",
    "/var/lib/containers/storage",
    "/var/lib/docker",
];

pub(super) fn filesystems(batch: &mut Batch<'_>) -> Result<()> {
    let mounts: Vec<MountEntry> = Current::current().context("reading /proc/mounts")?;
    // What is mounted last over a mount point hides what was there.
    let visible: BTreeMap<&str, &MountEntry> = mounts
        .iter()
        .map(|mount| (mount.fs_file.as_str(), mount))
        .collect();
    let mut failed = Vec::new();
    for mount in visible
        .values()
        .filter(|mount| is_shown(mount))
        .take(MOUNTS_MAX)
    {
        match rustix::fs::statvfs(mount.fs_file.as_str()) {
            Ok(stat) => {
                let labels = [
                    ("device", mount.fs_spec.as_str()),
                    ("fstype", mount.fs_vfstype.as_str()),
                    ("mountpoint", mount.fs_file.as_str()),
                ];
                let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
                batch.push_count(&metrics::FILESYSTEM_SIZE, &labels, bytes(stat.f_blocks));
                batch.push_count(&metrics::FILESYSTEM_FREE, &labels, bytes(stat.f_bfree));
                batch.push_count(
                    &metrics::FILESYSTEM_AVAILABLE,
                    &labels,
                    bytes(stat.f_bavail),
                );
            }
            Err(error) => failed.push(format!("{}: {error}", mount.fs_file)),
        }
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join(", "));
    Ok(())
}

/// A container's root is an overlay, and the only one it has.
fn is_shown(mount: &MountEntry) -> bool {
    let is_below = |dir: &&str| {
        mount
            .fs_file
            .strip_prefix(*dir)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_root_overlay = mount.fs_file == "/" && mount.fs_vfstype == "overlay";
    (is_root_overlay || !UNREAL.contains(&mount.fs_vfstype.as_str()))
        && !HIDDEN_BELOW.iter().any(is_below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: &str, at: &str) -> bool {
        let line = format!("dev {at} {kind} rw 0 0\n");
        let mounts: Vec<MountEntry> = procfs::FromRead::from_read(line.as_bytes()).unwrap();
        is_shown(&mounts[0])
    }

    #[test]
    fn real_file_systems_are_shown() {
        for (kind, at) in [
            ("ext4", "/"),
            ("xfs", "/devices"),
            ("nfs4", "/mnt"),
            ("overlay", "/"),
            ("vfat", "/boot/efi"),
        ] {
            assert!(shown(kind, at), "{kind} at {at}");
        }
    }

    #[test]
    fn what_is_not_on_a_disk_is_not() {
        for (kind, at) in [
            ("proc", "/proc"),
            ("tmpfs", "/run"),
            ("ext4", "/var/lib/docker/x"),
            ("overlay", "/x"),
            ("ext4", "/dev"),
        ] {
            assert!(!shown(kind, at), "{kind} at {at}");
        }
    }

    #[test]
    fn this_machine_has_one() {
        let mut cache = super::super::batch::LabelCache::default();
        let mut batch = Batch::new(&mut cache, 0);
        // A machine may have a mount that cannot be asked; the others count.
        let _ = filesystems(&mut batch);
        let record = batch.finish("node");
        assert!(record.samples.iter().all(|sample| sample.value >= 0.0));
    }
}
