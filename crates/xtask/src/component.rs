//! The collector component: a wasm module wrapped by its contract, and proof that it imports nothing.

use anyhow::{Context, Result, ensure};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// Makes a component of a core module that carries its WIT world.
///
/// # Errors
/// When the module is malformed, carries no world, or the component would import anything: the collector can do
/// nothing but what its host does for it.
pub(crate) fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let component = ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode())
        .context("the module does not fit its WIT world")?;
    let imports = imports(&component)?;
    ensure!(
        imports.is_empty(),
        "the collector must import nothing, yet it imports {}",
        imports.join(", ")
    );
    Ok(component)
}

/// The names a component imports from outside; what its inner modules import from each other does not count.
fn imports(component: &[u8]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if let Payload::ModuleSection { .. } | Payload::ComponentSection { .. } = payload {
            depth += 1;
        } else if let Payload::End(_) = payload {
            depth = depth.saturating_sub(1);
        } else if let (0, Payload::ComponentImportSection(section)) = (depth, payload) {
            for import in section {
                names.push(import?.name.name.to_owned());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component's preamble, and one import section with a function-free instance type before it.
    const EMPTY: [u8; 8] = *b"\0asm\x0d\0\x01\0";

    #[test]
    fn an_empty_component_imports_nothing() {
        assert_eq!(imports(&EMPTY).expect("well formed"), Vec::<String>::new());
    }

    #[test]
    fn an_import_is_named() {
        let mut bytes = EMPTY.to_vec();
        // Section 7: one type, an empty instance. Section 10: one import "env" of that instance type.
        bytes.extend([7, 3, 1, 0x42, 0]);
        bytes.extend([10, 8, 1, 0, 3, b'e', b'n', b'v', 5, 0]);
        assert_eq!(imports(&bytes).expect("well formed"), ["env"]);
    }

    #[test]
    fn a_module_without_a_world_is_refused() {
        assert!(encode(b"not wasm").is_err());
    }
}
