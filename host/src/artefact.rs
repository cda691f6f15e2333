//! The collector component, compiled for this machine: from the cache on disk, or afresh.
//!
//! The cache never fails a start. What is in it is only run if this user wrote it, nobody else can
//! have, and it hashes to what was written.

use std::fmt;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The component that this host was built with.
pub const COLLECTOR: &[u8] = include_bytes!(env!("TIDEGATE_COLLECTOR"));

/// Compiled code is some megabytes; a larger file is none of ours.
const CACHED_BYTES_MAX: u64 = 256 << 20;

/// How many compiled components are kept: those of a few versions of the host.
const CACHED_FILES_MAX: usize = 8;

const FILE_PREFIX: &str = "collector-";
const FILE_SUFFIX: &str = ".cwasm";
const HASH_BYTES: usize = 32;

/// A component that is ready to be instantiated, and how it was come by.
#[derive(Debug)]
#[non_exhaustive]
pub struct Artefact {
    /// The component.
    pub component: Component,
    /// Where the compiled code came from.
    pub origin: Origin,
    /// How long it took to get it.
    pub took: Duration,
}

/// Where compiled code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the cache on disk.
    CacheHit,
    /// Compiled now, and kept in the cache.
    Compiled,
    /// Compiled now; there is no cache, or it cannot be written.
    CompiledUncached,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CacheHit => "hit",
            Self::Compiled => "miss",
            Self::CompiledUncached => "off",
        })
    }
}

impl Artefact {
    /// The component `bytes` on `engine`; `cache_dir` keeps the compiled code.
    ///
    /// # Errors
    /// The bytes are not a component that this engine can compile. Trouble with the cache is
    /// logged and got around.
    pub fn load(engine: &Engine, bytes: &[u8], cache_dir: Option<&Path>) -> wasmtime::Result<Self> {
        let started = Instant::now();
        let file = cache_dir.map(|dir| dir.join(file_name(engine, bytes)));
        if let Some(component) = file.as_deref().and_then(|file| cached(engine, file)) {
            return Ok(Self {
                component,
                origin: Origin::CacheHit,
                took: started.elapsed(),
            });
        }
        let code = engine.precompile_component(bytes)?;
        let mut origin = Origin::CompiledUncached;
        if let Some(file) = &file {
            match store(file, &code) {
                Ok(()) => origin = Origin::Compiled,
                Err(error) => {
                    tracing::warn!(file = %file.display(), error = %error, "cannot keep the compiled collector: compiling it at each start");
                }
            }
        }
        let component = load_compiled(engine, &Trusted(code))?;
        Ok(Self {
            component,
            origin,
            took: started.elapsed(),
        })
    }
}

/// The directory that compiled code is kept in unless told otherwise; `None` where the
/// surroundings name no place for caches.
pub fn cache_dir_default() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("LOCALAPPDATA"))
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("tidegate"))
}

/// Names the code after what it was made from and what it was made for.
fn file_name(engine: &Engine, bytes: &[u8]) -> String {
    struct ShaHasher(Sha256);
    impl Hasher for ShaHasher {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = ShaHasher(Sha256::new());
    hasher.write(&Sha256::digest(bytes));
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let hex: String = hasher
        .0
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{FILE_PREFIX}{hex}{FILE_SUFFIX}")
}

/// Code that this user compiled, and that nobody else can have changed since.
struct Trusted(Vec<u8>);

#[expect(
    unsafe_code,
    reason = "wasmtime cannot know where compiled code comes from"
)]
fn load_compiled(engine: &Engine, code: &Trusted) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are the output of `Engine::precompile_component`. Either they never left
    // this process, or `read_trusted` read them from a file that belongs to this user, that nobody
    // else may write, and whose hash is the one that was written with them. They are in memory, so
    // nothing changes them between the check and the use.
    unsafe { Component::deserialize(engine, &code.0) }
}

fn cached(engine: &Engine, file: &Path) -> Option<Component> {
    let code = match read_trusted(file) {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(file = %file.display(), error = %error, "the cached collector is unusable: compiling it again");
            return None;
        }
    };
    load_compiled(engine, &code)
        .inspect_err(|error| {
            tracing::warn!(file = %file.display(), error = %error, "the cached collector does not load: compiling it again");
        })
        .ok()
}

/// Reads a file of ours: the hash of the code, then the code.
fn read_trusted(path: &Path) -> io::Result<Trusted> {
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    let mut file = File::open(path)?;
    // Asked of the open file, so that what is checked is what is read.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return refused("it is no file");
    }
    if !is_ours_alone(&metadata) {
        return refused("it belongs to another user, or others may write it");
    }
    if metadata.len() > CACHED_BYTES_MAX {
        return refused("it is too large");
    }
    let mut bytes = Vec::new();
    Read::by_ref(&mut file)
        .take(CACHED_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    if bytes.len() < HASH_BYTES {
        return refused("it is cut off");
    }
    let code = bytes.split_off(HASH_BYTES);
    if Sha256::digest(&code)[..] != bytes[..] {
        return refused("its hash is wrong");
    }
    Ok(Trusted(code))
}

#[cfg(unix)]
fn is_ours_alone(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

/// Elsewhere a user's cache folder is closed to other users by inheritance.
#[cfg(not(unix))]
fn is_ours_alone(_: &fs::Metadata) -> bool {
    true
}

/// Writes beside and renames, so that no other process ever sees half a file.
fn store(path: &Path, code: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    create_private_dir(dir)?;
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    let written = create_private(&beside).and_then(|mut file| {
        file.write_all(&Sha256::digest(code))?;
        file.write_all(code)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        // Best effort: what remains is a stray file that the next write replaces.
        let _ = fs::remove_file(&beside);
    } else {
        prune(dir);
    }
    written
}

fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Removes the oldest compiled components beyond what is kept. Best effort.
fn prune(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.to_str()
                .is_some_and(|name| name.starts_with(FILE_PREFIX) && name.ends_with(FILE_SUFFIX))
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort_unstable();
    for (_, path) in files.iter().rev().skip(CACHED_FILES_MAX) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component: a header and nothing else.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn load(dir: &Path) -> Origin {
        Artefact::load(&crate::engine::engine().unwrap(), EMPTY, Some(dir))
            .unwrap()
            .origin
    }

    fn only_file(dir: &Path) -> PathBuf {
        let files: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn the_second_load_comes_from_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let nested = dir.path().join("a/b");
        assert_eq!(
            [load(&nested), load(&nested)],
            [Origin::Compiled, Origin::CacheHit]
        );
    }

    #[test]
    fn a_changed_empty_or_cut_file_is_compiled_again_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path());
        let file = only_file(dir.path());
        let good = fs::read(&file).unwrap();
        let mut changed = good.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bad in [
            &changed[..],
            b"",
            &good[..good.len() / 2],
            &good[..HASH_BYTES],
            &[0; 100],
        ] {
            fs::write(&file, bad).unwrap();
            assert_eq!(
                [load(dir.path()), load(dir.path())],
                [Origin::Compiled, Origin::CacheHit]
            );
        }
    }

    #[test]
    fn code_that_hashes_well_but_is_no_code_is_compiled_again() {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path());
        let file = only_file(dir.path());
        let mut forged = Sha256::digest(b"not an object").to_vec();
        forged.extend(b"not an object");
        fs::write(&file, forged).unwrap();
        assert_eq!(load(dir.path()), Origin::Compiled);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        load(dir.path());
        let file = only_file(dir.path());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(
            [load(dir.path()), load(dir.path())],
            [Origin::Compiled, Origin::CacheHit]
        );
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let in_the_way = dir.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        assert_eq!(load(&in_the_way), Origin::CompiledUncached);
        let engine = crate::engine::engine().unwrap();
        assert_eq!(
            Artefact::load(&engine, EMPTY, None).unwrap().origin,
            Origin::CompiledUncached
        );
    }

    #[test]
    fn what_is_no_component_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let engine = crate::engine::engine().unwrap();
        assert!(Artefact::load(&engine, b"\0asm\x01\0\0\0", Some(dir.path())).is_err());
        assert!(Artefact::load(&engine, b"", Some(dir.path())).is_err());
    }

    #[test]
    fn only_the_newest_files_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for index in 0..CACHED_FILES_MAX + 3 {
            let file = File::create(
                dir.path()
                    .join(format!("{FILE_PREFIX}{index}{FILE_SUFFIX}")),
            )
            .unwrap();
            let age = Duration::from_secs(1_000 - index as u64);
            file.set_modified(std::time::SystemTime::now() - age)
                .unwrap();
        }
        fs::write(dir.path().join("other"), "").unwrap();
        prune(dir.path());
        assert!(
            !dir.path()
                .join(format!("{FILE_PREFIX}2{FILE_SUFFIX}"))
                .exists()
        );
        assert!(
            dir.path()
                .join(format!("{FILE_PREFIX}3{FILE_SUFFIX}"))
                .exists()
        );
        assert!(dir.path().join("other").exists());
    }
}
