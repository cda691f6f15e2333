//! What the embedded component may do: answer, and nothing else.

use tidegate_host::COLLECTOR;
use wasmparser::{Parser, Payload};
use wit_component::DecodedWasm;

#[test]
fn the_component_has_no_imports() {
    let mut imports = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(COLLECTOR) {
        let payload = payload.expect("the component is well-formed");
        if matches!(
            payload,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. }
        ) {
            depth += 1;
        } else if matches!(payload, Payload::End(_)) {
            depth = depth.saturating_sub(1);
        } else if let Payload::ComponentImportSection(section) = payload
            // What modules inside import is wired up inside.
            && depth == 0
        {
            imports.extend(
                section
                    .into_iter()
                    .map(|import| format!("{:?}", import.expect("an import"))),
            );
        }
    }
    assert!(
        imports.is_empty(),
        "the collector may not import anything: {imports:#?}"
    );
}

#[test]
fn the_component_is_the_collector_of_the_contract() {
    let DecodedWasm::Component(resolve, world) =
        wit_component::decode(COLLECTOR).expect("a component")
    else {
        panic!("a package of interfaces, and no component")
    };
    let world = &resolve.worlds[world];
    assert!(world.imports.is_empty(), "{:?}", world.imports.keys());
    let exports: Vec<String> = world
        .exports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    assert_eq!(exports.len(), 1, "{exports:?}");
}
