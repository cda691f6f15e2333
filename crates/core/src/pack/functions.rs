//! The pack `functions`: what one function does, by cAdvisor and, where enabled, Scaphandre.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;

use super::{Field, FieldConfig, PackConfig, PackRecord, Params, RecordConfig, Row};
use crate::{Freshness, TemplateConfig};

/// The pack `functions`. It is asked for one function at a time, so that the failure of one does
/// not touch another, and because a process id says nothing of the function it runs.
///
/// | parameter | meaning | default |
/// |---|---|---|
/// | `function` | the name of the function's container | none |
/// | `namespace` | its namespace | `default` |
/// | `window` | how far back rates and means reach | `5m` |
/// | `pid` | regular expression of its process ids, where an exporter as Scaphandre runs | absent: no power |
/// | `node` | regular expression of the hosts those ids are of, as in `instance` without the port | `.+`, all |
///
/// | template | unit | from |
/// |---|---|---|
/// | `function_cpu` | cores | `container_cpu_usage_seconds_total` of all its containers, mean over the window |
/// | `function_ram` | bytes | `container_memory_working_set_bytes` of all its containers |
/// | `function_power` | watts | `scaph_process_power_consumption_microwatts` of its processes, the sum of each one's mean over the window |
pub fn functions() -> PackConfig {
    const CONTAINER: &str = r#"namespace="{{.namespace}}",container="{{.function}}""#;
    let query = |name: &str, description: &str, text: &str| TemplateConfig {
        name: name.to_owned(),
        text: text.replace("{CONTAINER}", CONTAINER),
        description: description.to_owned(),
        ..TemplateConfig::default()
    };
    PackConfig {
        name: "functions".into(),
        description: "Functions: cpu, memory and power of each".into(),
        queries: vec![
            query(
                "function_cpu",
                "Cores in use by a function, mean over the window; parameters function, namespace, window.",
                "sum(rate(container_cpu_usage_seconds_total{{CONTAINER}}[{{.window}}]))",
            ),
            query(
                "function_ram",
                "Bytes of memory in a function's working set; parameters function, namespace.",
                "sum(container_memory_working_set_bytes{{CONTAINER}})",
            ),
            query(
                "function_power",
                "Watts drawn by processes, by a pattern of their ids; parameters pid, node, window.",
                "sum(avg_over_time(scaph_process_power_consumption_microwatts{instance=~\"{{.node}}(:[0-9]+)?\",pid=~\"{{.pid}}\"}[{{.window}}])) / 1e6",
            ),
        ],
        defaults: Params::from([
            ("namespace".into(), "default".into()),
            ("node".into(), ".+".into()),
            ("window".into(), "5m".into()),
        ]),
        records: vec![RecordConfig {
            name: "function".into(),
            description: "One function".into(),
            keys: vec!["function".into(), "namespace".into()],
            fields: vec![
                field("cpu", "function_cpu", "cores"),
                field("ram", "function_ram", "bytes"),
                FieldConfig {
                    when: Some("pid".into()),
                    ..field("power", "function_power", "watts")
                },
            ],
        }],
    }
}

fn field(name: &str, query: &str, unit: &str) -> FieldConfig {
    FieldConfig {
        name: name.to_owned(),
        query: query.to_owned(),
        unit: unit.to_owned(),
        ..FieldConfig::default()
    }
}

/// One function.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionMetrics {
    /// Its name, which is its container's.
    pub function: String,
    /// Its namespace.
    pub namespace: String,
    /// Which cluster, where answers of several sources were merged.
    pub cluster: Option<String>,
    /// Cores in use, mean over the window.
    pub cpu: Field,
    /// Bytes of memory in its working set.
    pub ram: Field,
    /// Watts, mean over the window; missing where no process ids are given, or nothing measures
    /// them.
    pub power: Field,
    /// The worst of the fields that are there.
    pub freshness: Freshness,
}

impl PackRecord for FunctionMetrics {
    const PACK: &'static str = "functions";
    const RECORD: &'static str = "function";

    fn pack() -> PackConfig {
        functions()
    }

    fn from_row(row: &Row) -> Self {
        Self {
            function: row.key("function").to_owned(),
            namespace: row.key("namespace").to_owned(),
            cluster: row.source().map(ToOwned::to_owned),
            cpu: row.field("cpu"),
            ram: row.field("ram"),
            power: row.field("power"),
            freshness: row.freshness(),
        }
    }

    fn freshness(&self) -> Freshness {
        self.freshness
    }
}

#[cfg(test)]
mod tests {
    use super::super::MissingReason;
    use super::super::testing::{failed, names, params, said};
    use super::*;

    #[test]
    fn power_is_asked_for_only_where_process_ids_are_given() {
        let without = params(&[("function", "resize")]);
        assert_eq!(
            names(&FunctionMetrics::queries(&without)),
            ["function_cpu", "function_ram"]
        );
        let function = &FunctionMetrics::from_answers(&without, &[]).rows[0];
        let param = "pid".into();
        assert_eq!(
            function.power.reason(),
            Some(&MissingReason::NotEnabled { param })
        );
        for off in ["", "false"] {
            let off = params(&[("function", "resize"), ("pid", off)]);
            assert_eq!(FunctionMetrics::queries(&off).len(), 2);
        }
        let with = params(&[("function", "resize"), ("pid", "12|34")]);
        assert_eq!(FunctionMetrics::queries(&with).len(), 3);
    }

    #[test]
    fn a_function_is_named_by_what_was_asked_even_if_everything_failed() {
        let params = params(&[("function", "resize"), ("pid", "12")]);
        let answers = [
            failed("function_cpu"),
            said("function_ram", &[(&[], 1e6)]),
            said("function_power", &[]),
        ];
        let functions = FunctionMetrics::from_answers(&params, &answers);
        let [function] = &*functions.rows else {
            panic!("{functions:?}")
        };
        assert_eq!(
            (&*function.function, &*function.namespace),
            ("resize", "default")
        );
        assert_eq!(function.cpu.value(), None);
        assert_eq!(function.ram.value(), Some(1e6));
        assert_eq!(function.power.reason(), Some(&MissingReason::NoData));
        assert_eq!(functions.problems.len(), 1);
    }
}
