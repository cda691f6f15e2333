//! Kinds of metrics, between what a store keeps and what formats say.

use tidegate_series::MetricKind;
use tidegate_wire::FamilyKind;

pub(super) const fn family_kind(kind: MetricKind) -> FamilyKind {
    match kind {
        MetricKind::Counter => FamilyKind::Counter,
        MetricKind::Gauge => FamilyKind::Gauge,
        MetricKind::Histogram => FamilyKind::Histogram,
        MetricKind::Summary => FamilyKind::Summary,
        MetricKind::Unknown | _ => FamilyKind::Unknown,
    }
}

pub(super) const fn metric_kind(kind: FamilyKind) -> MetricKind {
    match kind {
        FamilyKind::Counter => MetricKind::Counter,
        FamilyKind::Gauge => MetricKind::Gauge,
        FamilyKind::Histogram => MetricKind::Histogram,
        FamilyKind::Summary => MetricKind::Summary,
        FamilyKind::Unknown
        | FamilyKind::StateSet
        | FamilyKind::Info
        | FamilyKind::GaugeHistogram => MetricKind::Unknown,
    }
}
