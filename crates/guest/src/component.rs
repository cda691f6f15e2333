//! The exported function, and the one collector behind it.

use std::cell::RefCell;

use crate::instance::Instance;

/// What the contract becomes in Rust.
#[allow(
    missing_docs,
    unnameable_types,
    unreachable_pub,
    unsafe_code,
    unused_qualifications,
    clippy::use_self,
    clippy::wildcard_enum_match_arm,
    reason = "generated"
)]
pub(crate) mod bindings {
    wit_bindgen::generate!({ world: "collector", path: "../../host/wit" });

    export!(Component with_types_in self);
    use super::Component;
}

use bindings::exports::tidegate::collector::machine::{Guest, Input, Now, Output};

thread_local! {
    /// A component has one thread and one collector, for its whole life.
    static INSTANCE: RefCell<Instance> = const { RefCell::new(Instance::new()) };
}

/// The component itself.
#[derive(Debug)]
pub struct Component;

impl Guest for Component {
    fn step(now: Now, inputs: Vec<Input>) -> Vec<Output> {
        INSTANCE.with_borrow_mut(|instance| instance.step(now, inputs))
    }
}
