//! The collector component: a wasm module wrapped by its contract, and proof that it imports nothing.

use anyhow::{Context, Result, ensure};
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::TypesRef;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
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

/// The names of what a component imports from outside and could act with.
///
/// The contract's types are imported too, in form; a type gives nothing to act with, unless it is a resource.
fn imports(component: &[u8]) -> Result<Vec<String>> {
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(component)?;
    let types = types.as_ref();
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
                let name = import?.name.name;
                let item = types.component_item_for_import(name);
                if item.is_none_or(|item| gives_power(types, &item.ty)) {
                    names.push(name.to_owned());
                }
            }
        }
    }
    Ok(names)
}

fn gives_power(types: TypesRef<'_>, entity: &ComponentEntityType) -> bool {
    if let ComponentEntityType::Type { referenced, .. } = entity {
        matches!(referenced, ComponentAnyTypeId::Resource(_))
    } else if let ComponentEntityType::Instance(id) = entity {
        types[*id]
            .exports
            .values()
            .any(|item| gives_power(types, &item.ty))
    } else {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component's preamble.
    const EMPTY: [u8; 8] = *b"\0asm\x0d\0\x01\0";

    #[test]
    fn an_empty_component_imports_nothing() {
        assert_eq!(imports(&EMPTY).expect("well formed"), Vec::<String>::new());
    }

    #[test]
    fn an_import_of_a_function_is_named() {
        let mut bytes = EMPTY.to_vec();
        // Section 7: one type, a function without parameters and result. Section 10: one import "env" of that type.
        bytes.extend([7, 5, 1, 0x40, 0, 1, 0]);
        bytes.extend([10, 8, 1, 0, 3, b'e', b'n', b'v', 1, 0]);
        assert_eq!(imports(&bytes).expect("well formed"), ["env"]);
    }

    #[test]
    fn an_import_of_types_alone_gives_nothing_to_act_with() {
        let mut bytes = EMPTY.to_vec();
        // Section 7: one type, an empty instance. Section 10: one import "env" of that type.
        bytes.extend([7, 3, 1, 0x42, 0]);
        bytes.extend([10, 8, 1, 0, 3, b'e', b'n', b'v', 5, 0]);
        assert_eq!(imports(&bytes).expect("well formed"), Vec::<String>::new());
    }

    #[test]
    fn a_module_without_a_world_is_refused() {
        assert!(encode(b"not wasm").is_err());
    }
}
