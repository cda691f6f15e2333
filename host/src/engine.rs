//! The wasmtime engine that guests run on, and what bounds them.
//!
//! Instances come from a pool and their memory is mapped copy on write, so that a fresh one costs
//! microseconds. A step that runs past its deadline traps; so does one that outgrows its memory.

use std::thread;
use std::time::Duration;

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, StoreLimits,
    StoreLimitsBuilder,
};

/// What a guest's memory may grow to: 2 GiB, room for the largest series store (10,000 series of
/// 5,760 points of 16 bytes), the answer cache and bodies in transit, and still half of what a
/// 32-bit guest could address.
pub const GUEST_MEMORY_BYTES_MAX: usize = 2 << 30;

/// How many guests may live at once beside those that serve: successors, and those of tests. Each
/// reserves address space only.
const GUESTS_SPARE: u32 = 8;

/// How long one step may take: 5 s. A step over a whole page of the largest bodies takes tens of
/// milliseconds; what takes seconds is stuck.
pub const STEP_TIME_MAX: Duration = Duration::from_secs(5);

/// How finely the deadline of steps is watched: often enough to be exact to a few percent, seldom
/// enough to cost nothing.
const EPOCH_TICK: Duration = Duration::from_millis(100);

/// The deadline in ticks; one more because the first may be about to end.
pub(crate) const STEP_TICKS_MAX: u64 =
    (STEP_TIME_MAX.as_millis() / EPOCH_TICK.as_millis()) as u64 + 1;

/// What the outputs of one step may take in the host, in bytes: 256 MiB, several of the largest
/// replies at once.
pub(crate) const STEP_OUTPUT_BYTES_MAX: usize = 256 << 20;

/// Guests get this much stack, in bytes: wasmtime's default. Deeper recursion traps.
const STACK_BYTES_MAX: usize = 512 << 10;

/// A component of ours has one core instance and a few shims.
const CORE_INSTANCES_PER_GUEST_MAX: u32 = 8;

/// Tables are for calls through pointers: a large guest has some thousand functions in them.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// An engine for a guest that serves: [`engine_for`] one.
///
/// # Errors
/// As there.
pub fn engine() -> wasmtime::Result<Engine> {
    engine_for(1)
}

/// An engine for so many guests that serve and a few more, and the thread that watches their
/// deadlines. That ends with the engine.
///
/// # Errors
/// The machine cannot run wasm: no support for its processor, or no thread to be had.
pub fn engine_for(serving: usize) -> wasmtime::Result<Engine> {
    let guests_max = u32::try_from(serving)
        .unwrap_or(u32::MAX)
        .saturating_add(GUESTS_SPARE);
    let pool = InstanceAllocationStrategy::Pooling(pool(guests_max));
    let engine = match Engine::new(&config(pool)) {
        Ok(engine) => engine,
        Err(error) => {
            // A pool reserves address space, which `ulimit -v` or a small machine may not have.
            tracing::warn!(error = %error, "no pool of guest instances: allocating on demand");
            Engine::new(&config(InstanceAllocationStrategy::OnDemand))?
        }
    };
    watch_deadlines(&engine)?;
    Ok(engine)
}

fn config(strategy: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Steps are synchronous; this halves what a call costs.
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .allocation_strategy(strategy);
    config
}

fn pool(guests_max: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let core_instances_max = guests_max.saturating_mul(CORE_INSTANCES_PER_GUEST_MAX);
    pool.total_component_instances(guests_max)
        .total_core_instances(core_instances_max)
        .max_core_instances_per_component(CORE_INSTANCES_PER_GUEST_MAX)
        .total_memories(guests_max)
        .max_memories_per_component(1)
        .max_memory_size(GUEST_MEMORY_BYTES_MAX)
        .total_tables(core_instances_max)
        .table_elements(TABLE_ELEMENTS_MAX);
    pool
}

/// What one guest's store allows.
pub(crate) fn limits() -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(GUEST_MEMORY_BYTES_MAX)
        .memories(1)
        .table_elements(TABLE_ELEMENTS_MAX)
        .instances(CORE_INSTANCES_PER_GUEST_MAX as usize)
        .tables(CORE_INSTANCES_PER_GUEST_MAX as usize)
        .build()
}

fn watch_deadlines(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    let watch = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(EPOCH_TICK);
        }
    };
    thread::Builder::new()
        .name("tidegate-epoch".into())
        .spawn(watch)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_starts_and_its_watch_ends_with_it() {
        let engine = engine().unwrap();
        let weak = engine.weak();
        drop(engine);
        // The watch may hold it for the blink of a tick.
        let gone = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(5));
            weak.upgrade().is_none()
        });
        assert!(gone);
    }
}
