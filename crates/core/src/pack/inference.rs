//! The pack `inference`: what model servers do, by vLLM's metrics and kube-state-metrics.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{Field, FieldConfig, PackConfig, PackRecord, Params, RecordConfig, Row};
use crate::{Freshness, TemplateConfig};

const MODEL: &str = r#"model_name="{{.modelID}}",namespace="{{.namespace}}""#;

/// The pods that serve the model, each once.
const SERVING: &str = "group by (model_name, namespace, pod) (vllm:num_requests_running{{MODEL}})";

/// Accelerators requested by each container, with their product's name.
const REQUESTS: &str = r#"max by (namespace, pod, container, node) (kube_pod_container_resource_requests{namespace="{{.namespace}}",resource="nvidia_com_gpu"}) * on (node) group_left (accelerator) max by (node, accelerator) (label_replace(kube_node_labels{label_nvidia_com_gpu_product=~"{{.accelerator}}"}, "accelerator", "$1", "label_nvidia_com_gpu_product", "(.+)"))"#;

/// The pack `inference`.
///
/// | parameter | meaning | default |
/// |---|---|---|
/// | `modelID` | the model, as in the label `model_name` | none |
/// | `namespace` | its namespace | none |
/// | `accelerator` | regular expression of products, for allocations | `.+`, all |
///
/// | template | unit | from |
/// |---|---|---|
/// | `kv_cache` | ratio, 0 to 1 | `vllm:kv_cache_usage_perc`, else the older `vllm:gpu_cache_usage_perc`, per pod; the fullest of its engines |
/// | `queue_length` | requests | `vllm:num_requests_waiting` per pod, the sum of its engines |
/// | `running_requests` | requests | `vllm:num_requests_running` per pod, the sum of its engines |
/// | `replicas` | pods | the pods that report `vllm:num_requests_running`, per model and namespace |
/// | `allocation` | accelerators | `kube_pod_container_resource_requests` of `nvidia_com_gpu` by those pods, per model, namespace and product of their nodes |
/// | `allocation_replicas` | pods | those pods, per model, namespace and product |
///
/// Pods are found by their labels `namespace` and `pod`, which Prometheus' Kubernetes discovery
/// gives. Products come from the node label `nvidia.com/gpu.product`, which kube-state-metrics
/// exports where it is allowed to. A model that nobody serves has no data, which is not the same
/// as 0 replicas that were counted.
pub fn inference() -> PackConfig {
    PackConfig {
        name: "inference".into(),
        description: "Model servers: load per pod, replicas and accelerators per model".into(),
        queries: queries(),
        defaults: Params::from([("accelerator".into(), ".+".into())]),
        records: vec![
            RecordConfig {
                name: "replica".into(),
                description: "One pod that serves a model".into(),
                keys: keys(&["model_name", "namespace", "pod"]),
                fields: vec![
                    field("kv_cache", "kv_cache", "ratio", POD),
                    field("queue_length", "queue_length", "requests", POD),
                    field("running_requests", "running_requests", "requests", POD),
                    field("replicas", "replicas", "pods", &["model_name", "namespace"]),
                ],
            },
            RecordConfig {
                name: "allocation".into(),
                description: "What a model has of one accelerator".into(),
                keys: keys(PRODUCT),
                fields: vec![
                    field("accelerators", "allocation", "accelerators", PRODUCT),
                    field("replicas", "allocation_replicas", "pods", PRODUCT),
                ],
            },
        ],
    }
}

const POD: &[&str] = &["model_name", "namespace", "pod"];
const PRODUCT: &[&str] = &["model_name", "namespace", "accelerator"];

fn queries() -> Vec<TemplateConfig> {
    let query = |name: &str, description: &str, text: &str| TemplateConfig {
        name: name.to_owned(),
        text: text
            .replace("{REQUESTS}", REQUESTS)
            .replace("{SERVING}", SERVING)
            .replace("{MODEL}", MODEL),
        description: description.to_owned(),
        ..TemplateConfig::default()
    };
    vec![
        query(
            "kv_cache",
            "Share of the key-value cache in use, 0 to 1, per pod; parameters modelID, namespace.",
            "max by (model_name, namespace, pod) (vllm:kv_cache_usage_perc{{MODEL}} or vllm:gpu_cache_usage_perc{{MODEL}})",
        ),
        query(
            "queue_length",
            "Requests that wait, per pod; parameters modelID, namespace.",
            "sum by (model_name, namespace, pod) (vllm:num_requests_waiting{{MODEL}})",
        ),
        query(
            "running_requests",
            "Requests that are worked on, per pod; parameters modelID, namespace.",
            "sum by (model_name, namespace, pod) (vllm:num_requests_running{{MODEL}})",
        ),
        query(
            "replicas",
            "Pods that serve a model, per namespace; parameters modelID, namespace.",
            "count by (model_name, namespace) ({SERVING})",
        ),
        query(
            "allocation",
            "Accelerators that a model's pods have, per product; parameters modelID, namespace, accelerator.",
            "sum by (model_name, namespace, accelerator) ({REQUESTS} * on (namespace, pod) group_left (model_name) {SERVING})",
        ),
        query(
            "allocation_replicas",
            "Pods that serve a model, per product; parameters modelID, namespace, accelerator.",
            "count by (model_name, namespace, accelerator) (group by (model_name, namespace, accelerator, pod) ({REQUESTS} * on (namespace, pod) group_left (model_name) {SERVING}))",
        ),
    ]
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn field(name: &str, query: &str, unit: &str, by: &[&str]) -> FieldConfig {
    FieldConfig {
        name: name.to_owned(),
        query: query.to_owned(),
        by: keys(by),
        unit: unit.to_owned(),
        ..FieldConfig::default()
    }
}

/// One pod that serves a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaMetrics {
    /// The pod.
    pub pod: String,
    /// The model it serves.
    pub model: String,
    /// Its namespace.
    pub namespace: String,
    /// Which cluster, where answers of several sources were merged.
    pub cluster: Option<String>,
    /// Share of its key-value cache in use, 0 to 1.
    pub kv_cache: Field,
    /// Requests that wait.
    pub queue_length: Field,
    /// Requests that are worked on.
    pub running_requests: Field,
    /// How many pods serve its model in its namespace, itself included.
    pub replicas: Field,
    /// The worst of the fields that are there.
    pub freshness: Freshness,
}

impl PackRecord for ReplicaMetrics {
    const PACK: &'static str = "inference";
    const RECORD: &'static str = "replica";

    fn pack() -> PackConfig {
        inference()
    }

    fn from_row(row: &Row) -> Self {
        Self {
            pod: row.key("pod").to_owned(),
            model: row.key("model_name").to_owned(),
            namespace: row.key("namespace").to_owned(),
            cluster: row.source().map(ToOwned::to_owned),
            kv_cache: row.field("kv_cache"),
            queue_length: row.field("queue_length"),
            running_requests: row.field("running_requests"),
            replicas: row.field("replicas"),
            freshness: row.freshness(),
        }
    }

    fn freshness(&self) -> Freshness {
        self.freshness
    }

    fn pod(&self) -> Option<&str> {
        Some(&self.pod)
    }
}

/// What a model has of one accelerator.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// The model.
    pub model: String,
    /// The namespace.
    pub namespace: String,
    /// The accelerator's product name, such as `NVIDIA-A100-SXM4-80GB`.
    pub accelerator: String,
    /// Which cluster, where answers of several sources were merged.
    pub cluster: Option<String>,
    /// How many of these accelerators the model's pods request.
    pub accelerators: Field,
    /// How many of the model's pods have them.
    pub replicas: Field,
    /// The worst of the fields that are there.
    pub freshness: Freshness,
}

impl PackRecord for Allocation {
    const PACK: &'static str = "inference";
    const RECORD: &'static str = "allocation";

    fn pack() -> PackConfig {
        inference()
    }

    fn from_row(row: &Row) -> Self {
        Self {
            model: row.key("model_name").to_owned(),
            namespace: row.key("namespace").to_owned(),
            accelerator: row.key("accelerator").to_owned(),
            cluster: row.source().map(ToOwned::to_owned),
            accelerators: row.field("accelerators"),
            replicas: row.field("replicas"),
            freshness: row.freshness(),
        }
    }

    fn freshness(&self) -> Freshness {
        self.freshness
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, failed, names, params, said, vector};
    use super::super::{MissingReason, OwnerMap};
    use super::*;

    fn pod(name: &str) -> [(&str, &str); 3] {
        [
            ("model_name", "llama"),
            ("namespace", "prod"),
            ("pod", name),
        ]
    }

    fn asked() -> Params {
        params(&[("modelID", "llama"), ("namespace", "prod")])
    }

    #[test]
    fn pods_are_rows_and_each_field_fails_alone() {
        let params = asked();
        assert_eq!(
            names(&ReplicaMetrics::queries(&params)),
            ["kv_cache", "queue_length", "running_requests", "replicas"]
        );
        let old = vector(&[(&pod("p-1"), 4.0)]);
        let answers = [
            said("kv_cache", &[(&pod("p-1"), 0.5), (&pod("p-2"), f64::NAN)]),
            (
                "queue_length".into(),
                Ok(answer("prom", old, Freshness::Stale)),
            ),
            failed("running_requests"),
            said(
                "replicas",
                &[(&[("model_name", "llama"), ("namespace", "prod")], 2.0)],
            ),
        ];
        let replicas = ReplicaMetrics::from_answers(&params, &answers);
        let [first, second] = &*replicas.rows else {
            panic!("{replicas:?}")
        };
        assert_eq!(
            (&*first.pod, &*first.model, &*first.namespace),
            ("p-1", "llama", "prod")
        );
        assert_eq!(
            (first.kv_cache.value(), first.queue_length.value()),
            (Some(0.5), Some(4.0))
        );
        assert_eq!(first.freshness, Freshness::Stale);
        assert_eq!(second.kv_cache.reason(), Some(&MissingReason::NotANumber));
        assert_eq!(second.queue_length.reason(), Some(&MissingReason::NoData));
        assert_eq!(second.running_requests.value(), None);
        assert_eq!(second.replicas.value(), Some(2.0));
        assert_eq!(second.freshness, Freshness::Fresh);
        assert_eq!(replicas.freshness(), Freshness::Stale);
        assert_eq!(replicas.problems[0].query, "running_requests");
    }

    #[test]
    fn when_everything_fails_no_rows_come_with_problems() {
        let answers = ["kv_cache", "queue_length", "running_requests"].map(failed);
        let replicas = ReplicaMetrics::from_answers(&asked(), &answers);
        assert!(replicas.rows.is_empty() && !replicas.is_complete());
        assert_eq!(replicas.freshness(), Freshness::Missing);
        let none = ReplicaMetrics::from_answers(&asked(), &[said("kv_cache", &[])]);
        assert!(none.rows.is_empty() && none.is_complete());
    }

    #[test]
    fn records_are_filtered_by_owner() {
        let mut owners = OwnerMap::default();
        owners
            .register("llama-deployment", "llama-8b-autoscaler")
            .unwrap();
        let pods = [
            (&pod("llama-deployment-abc123-xyz")[..], 0.1),
            (&pod("mistral-abc-xyz")[..], 0.2),
        ];
        let replicas = ReplicaMetrics::from_answers(&asked(), &[said("kv_cache", &pods)]);
        let owned: Vec<_> = replicas
            .owned_by("llama-8b-autoscaler", &owners)
            .map(|replica| &*replica.pod)
            .collect();
        assert_eq!(owned, ["llama-deployment-abc123-xyz"]);
        assert_eq!(replicas.owned_by("nobody", &owners).count(), 0);
    }

    #[test]
    fn allocations_are_told_apart_by_product() {
        let of = |product| {
            [
                ("accelerator", product),
                ("model_name", "llama"),
                ("namespace", "prod"),
            ]
        };
        let answers = [
            said("allocation", &[(&of("H100"), 8.0), (&of("A100"), 4.0)]),
            said("allocation_replicas", &[(&of("A100"), 2.0)]),
        ];
        let found = Allocation::from_answers(&asked(), &answers);
        let table: Vec<_> = found
            .rows
            .iter()
            .map(|one| {
                (
                    &*one.accelerator,
                    one.accelerators.value(),
                    one.replicas.value(),
                )
            })
            .collect();
        assert_eq!(
            table,
            [("A100", Some(4.0), Some(2.0)), ("H100", Some(8.0), None)]
        );
    }

    #[test]
    fn clusters_that_run_pods_of_one_name_are_told_apart() {
        let series = |source| [&pod("p-0")[..], &[("source", source)]].concat();
        let (eu, us) = (series("eu"), series("us"));
        let answers = [said("kv_cache", &[(&eu, 0.1), (&us, 0.9)])];
        let found = ReplicaMetrics::from_answers(&asked(), &answers);
        let table: Vec<_> = found
            .rows
            .iter()
            .map(|one| (one.cluster.as_deref(), one.kv_cache.value()))
            .collect();
        assert_eq!(table, [(Some("eu"), Some(0.1)), (Some("us"), Some(0.9))]);
    }
}
