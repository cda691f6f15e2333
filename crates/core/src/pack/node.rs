//! The pack `node`: what a machine does, by node_exporter and, where enabled, Scaphandre.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;

use super::{Field, FieldConfig, PackConfig, PackRecord, Params, RecordConfig, Row};
use crate::{Freshness, TemplateConfig};

/// The targets of a node: its host, whatever the port, so that exporters of one node fit together.
const TARGET: &str = r#"instance=~"{{.node}}(:[0-9]+)?""#;

/// The pack `node`.
///
/// | parameter | meaning | default |
/// |---|---|---|
/// | `node` | regular expression of hosts, as in `instance` without the port | `.+`, all |
/// | `window` | how far back rates and means reach | `5m` |
/// | `power` | `true` where an exporter as Scaphandre runs | absent: off |
///
/// | template | unit | from |
/// |---|---|---|
/// | `node_cpu` | cores | `node_cpu_seconds_total` but idle, iowait and steal, mean over the window |
/// | `node_ram` | bytes | `node_memory_MemTotal_bytes` less `node_memory_MemAvailable_bytes` |
/// | `node_ram_pct` | percent, 0 to 100 | the same as a share |
/// | `node_power` | watts | `scaph_host_power_microwatts`, mean over the window |
///
/// An exporter that is scraped by two jobs counts once.
pub fn node() -> PackConfig {
    let all = Params::from([("node".into(), ".+".into()), ("window".into(), "5m".into())]);
    PackConfig {
        name: "node".into(),
        description: "Machines: cpu, memory and power".into(),
        queries: vec![
            query(
                "node_cpu",
                "Cores in use, mean over the window.",
                "sum by (node) (max by (node, cpu, mode) ({NODE}(rate(node_cpu_seconds_total{{TARGET},mode!~\"idle|iowait|steal\"}[{{.window}}]){AS})))",
            ),
            query(
                "node_ram",
                "Bytes of memory that are not available to new work.",
                "max by (node) ({NODE}(node_memory_MemTotal_bytes{{TARGET}} - node_memory_MemAvailable_bytes{{TARGET}}{AS}))",
            ),
            query(
                "node_ram_pct",
                "Percent of memory that is not available to new work.",
                "max by (node) ({NODE}(100 * (1 - node_memory_MemAvailable_bytes{{TARGET}} / node_memory_MemTotal_bytes{{TARGET}}){AS}))",
            ),
            query(
                "node_power",
                "Watts drawn by the host, mean over the window.",
                "max by (node) ({NODE}(avg_over_time(scaph_host_power_microwatts{{TARGET}}[{{.window}}]){AS})) / 1e6",
            ),
        ],
        defaults: all,
        records: vec![RecordConfig {
            name: "node".into(),
            description: "One machine".into(),
            keys: vec!["node".into()],
            fields: vec![
                field("cpu", "node_cpu", "cores"),
                field("ram", "node_ram", "bytes"),
                field("ram_pct", "node_ram_pct", "percent"),
                FieldConfig {
                    when: Some("power".into()),
                    ..field("power", "node_power", "watts")
                },
            ],
        }],
    }
}

fn query(name: &str, description: &str, text: &str) -> TemplateConfig {
    let text = text
        .replace("{TARGET}", TARGET)
        .replace("{NODE}", "label_replace")
        .replace("{AS}", r#", "node", "$1", "instance", "(.+?)(:[0-9]+)?""#);
    TemplateConfig {
        name: name.to_owned(),
        text,
        description: format!("{description} Per node; parameters node, window."),
        ..TemplateConfig::default()
    }
}

fn field(name: &str, query: &str, unit: &str) -> FieldConfig {
    FieldConfig {
        name: name.to_owned(),
        query: query.to_owned(),
        by: vec!["node".into()],
        unit: unit.to_owned(),
        ..FieldConfig::default()
    }
}

/// One machine.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeMetrics {
    /// Its host, as in `instance` without the port.
    pub node: String,
    /// Which cluster, where answers of several sources were merged.
    pub cluster: Option<String>,
    /// Cores in use, mean over the window.
    pub cpu: Field,
    /// Bytes of memory in use.
    pub ram: Field,
    /// Percent of memory in use, 0 to 100.
    pub ram_pct: Field,
    /// Watts, mean over the window; missing where it is not enabled, or nothing measures it.
    pub power: Field,
    /// The worst of the fields that are there.
    pub freshness: Freshness,
}

impl PackRecord for NodeMetrics {
    const PACK: &'static str = "node";
    const RECORD: &'static str = "node";

    fn pack() -> PackConfig {
        node()
    }

    fn from_row(row: &Row) -> Self {
        Self {
            node: row.key("node").to_owned(),
            cluster: row.source().map(ToOwned::to_owned),
            cpu: row.field("cpu"),
            ram: row.field("ram"),
            ram_pct: row.field("ram_pct"),
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
    use crate::Template;

    #[test]
    fn without_power_it_is_not_asked_for_and_says_so() {
        let none = Params::new();
        assert_eq!(
            names(&NodeMetrics::queries(&none)),
            ["node_cpu", "node_ram", "node_ram_pct"]
        );
        let answers = [
            said("node_cpu", &[(&[("node", "a")], 1.5)]),
            said("node_ram", &[(&[("node", "a")], 2e9)]),
            said("node_ram_pct", &[(&[("node", "a")], 25.0)]),
        ];
        let nodes = NodeMetrics::from_answers(&none, &answers);
        let node = &nodes.rows[0];
        assert_eq!((&*node.node, node.cpu.value()), ("a", Some(1.5)));
        assert_eq!(node.power.value(), None);
        let param = "power".into();
        assert_eq!(
            node.power.reason(),
            Some(&MissingReason::NotEnabled { param })
        );
        assert_eq!(node.freshness, Freshness::Fresh);
    }

    #[test]
    fn with_power_a_node_without_the_exporter_has_none() {
        let with = params(&[("power", "true"), ("node", "a|b")]);
        let asks = NodeMetrics::queries(&with);
        assert_eq!(names(&asks)[3], "node_power");
        let answers = [
            said(
                "node_cpu",
                &[(&[("node", "a")], 1.0), (&[("node", "b")], 2.0)],
            ),
            failed("node_ram"),
            said("node_power", &[(&[("node", "b")], 80.0)]),
        ];
        let nodes = NodeMetrics::from_answers(&with, &answers);
        let power: vec::Vec<_> = nodes.rows.iter().map(|node| node.power.value()).collect();
        assert_eq!(power, [None, Some(80.0)]);
        assert_eq!(nodes.rows[0].power.reason(), Some(&MissingReason::NoData));
        assert_eq!(nodes.problems[0].query, "node_ram");
        assert!(!nodes.is_complete());
    }

    #[test]
    fn the_queries_read_as_intended() {
        let pack = node();
        let params = pack.with_defaults(&params(&[("node", "edge-1|edge-2")]));
        let bound = |index: usize| {
            Template::parse(&pack.queries[index])
                .unwrap()
                .bind(&params)
                .unwrap()
        };
        assert_eq!(
            bound(0),
            r#"sum by (node) (max by (node, cpu, mode) (label_replace(rate(node_cpu_seconds_total{instance=~"(?:edge-1|edge-2)(:[0-9]+)?",mode!~"idle|iowait|steal"}[5m]), "node", "$1", "instance", "(.+?)(:[0-9]+)?")))"#
        );
        assert_eq!(
            bound(3),
            r#"max by (node) (label_replace(avg_over_time(scaph_host_power_microwatts{instance=~"(?:edge-1|edge-2)(:[0-9]+)?"}[5m]), "node", "$1", "instance", "(.+?)(:[0-9]+)?")) / 1e6"#
        );
    }
}
