//! Configurations that are refused, in words that name what is wrong.

use std::collections::BTreeMap;

use tidegate_core::{
    AlertCondition, AlertRule, AlertsConfig, Collector, Comparison, Config, Now, ParamConfig,
    ParamType, SourceConfig, Template, TemplateConfig, TemplateKind,
};

fn refused(config: &Config) -> String {
    let made = Collector::new(config.clone(), Now::ZERO);
    made.map(drop).unwrap_err().to_string()
}

fn scraped(targets: &[&str]) -> Config {
    let targets = targets.iter().map(|target| (*target).into()).collect();
    Config::with_sources(vec![SourceConfig::scrape("pods", targets)])
}

#[test]
fn a_scrape_source_has_some_targets_each_once() {
    assert!(
        refused(&scraped(&[])).starts_with("source pods has 0 targets: a scrape source has 1 to ")
    );
    assert_eq!(
        refused(&scraped(&["a", "b", "a"])),
        "source pods names target \"a\" twice"
    );
    let mut unnamed = scraped(&[""]);
    unnamed.sources[0].collect_interval = core::time::Duration::from_secs(15);
    assert!(
        refused(&unnamed).starts_with(
            "source pods: a target's name of 0 bytes cannot be its label \"instance\": "
        )
    );
    assert!(Collector::new(scraped(&["a", "b"]), Now::ZERO).is_ok());
}

fn over(name: &str) -> AlertRule {
    let condition = AlertCondition::Threshold {
        over: None,
        op: Comparison::Greater,
        value: 5.0,
    };
    AlertRule::new(name, "load", condition)
}

#[test]
fn an_alert_rule_that_is_wrong_is_named_and_changes_nothing() {
    let mut alerts = AlertsConfig::default();
    alerts.add(over("Hot")).unwrap();
    let twice = alerts.add(over("Hot")).unwrap_err();
    assert_eq!(twice.rule(), Some("Hot"));
    let of = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let said_wrong = AlertRule {
        annotations: of("a-b", ""),
        ..over("Said")
    };
    let too_long = AlertRule {
        labels: of("a", &"x".repeat(1 << 20)),
        ..over("Long")
    };
    let unnamed = over("");
    for (rule, told) in [
        (
            said_wrong,
            "annotation \"a-b\": use letters, digits and '_'",
        ),
        (too_long, "label \"a\" has 1048576 bytes, at most "),
        (unnamed, ""),
    ] {
        let name = rule.name.clone();
        let error = alerts.add(rule).unwrap_err();
        assert_eq!(error.rule(), Some(&*name));
        assert!(error.to_string().contains(told), "{error}");
    }
    assert_eq!(alerts.rules.len(), 1);
    alerts.interval = core::time::Duration::ZERO;
    let config = Config {
        alerts,
        ..Config::default()
    };
    assert_eq!(config.alerts.check().unwrap_err().rule(), None);
    assert_eq!(
        refused(&config),
        config.alerts.check().unwrap_err().to_string()
    );
}

fn template(kind: TemplateKind, text: &str, params: &[&str]) -> TemplateConfig {
    let param = |name: &&str| ParamConfig {
        name: (*name).into(),
        kind: ParamType::Label,
    };
    TemplateConfig {
        name: "t".into(),
        kind,
        text: text.into(),
        params: params.iter().map(param).collect(),
        ..TemplateConfig::default()
    }
}

#[test]
fn a_template_is_refused_with_the_text_that_is_wrong() {
    let told = |config| Template::parse(&config).unwrap_err().to_string();
    for (config, part) in [
        (
            template(TemplateKind::Metric, "a-b", &[]),
            "\"a-b\" is not a metric name",
        ),
        (
            template(TemplateKind::PromQl, "up", &["a-b"]),
            "\"a-b\" is not a parameter name",
        ),
        (
            template(TemplateKind::PromQl, "up", &["a", "a"]),
            "parameter \"a\" is declared twice",
        ),
        (
            template(TemplateKind::PromQl, "up{a=\"{{.a | literal}}\"}", &[]),
            "belongs into the string of a regex matcher",
        ),
    ] {
        let told = told(config);
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_value_is_refused_with_the_parameter_it_is_of() {
    let bind = |config, name: &str, value: &str| {
        let template = Template::parse(&config).unwrap();
        let given = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        template.bind(&given).map_err(|error| error.to_string())
    };
    let metric = || template(TemplateKind::Metric, "up", &["job"]);
    assert_eq!(
        bind(metric(), "job", "a\"b"),
        Ok("up{job=\"a\\\"b\"}".into())
    );
    let long = "x".repeat(1 << 20);
    let told = bind(metric(), "job", &long).unwrap_err();
    assert!(
        told.contains("it has 1048576 bytes, at most ") && told.contains('…'),
        "{told}"
    );
    assert!(told.len() < 1_000, "what is long is not repeated");
}
