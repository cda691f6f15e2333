//! Templates and what is put into them.

use std::collections::BTreeMap;
use std::str;

use tidegate_core::{ParamConfig, ParamType, Template, TemplateConfig};

use super::Target;

pub(super) const TARGET: Target = Target {
    name: "template",
    about: "a template, and a line for each parameter: name=value",
    run,
    words: &[
        "{{.a}}",
        "{{ .b | literal }}",
        "up{x=\"{{.a}}\"}",
        "up{x=~\"a.*{{.a | literal}}\"}",
        "up{x=~'{{.a}}'}",
        "rate(x[{{.a}}])",
        "offset {{.a}}",
        "@ {{.a}}",
        "{{.m}}",
        "{{.l}}",
        "{{.n}}",
        "sum by ({{.l}}) (",
        "`{{.a}}`",
        "\\\"",
        "# {{.a}}\n",
        "\na=",
        "\nb=\"} or vector(1)",
        "\nm=up",
        "\nl=job",
        "\nn=1e3",
        "\na=5m",
        "start()",
        "end()",
    ],
    bytes_max: 400,
};

fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let mut lines = text.split('\n');
    let config = config(lines.next().unwrap_or_default());
    let pairs = lines.filter_map(|line| line.split_once('='));
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let given: BTreeMap<_, _> = pairs.map(owned).collect();
    let template = match Template::parse(&config) {
        Ok(template) => template,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let bound = template.bind(&given);
    let mut more = given.clone();
    more.insert("nobody_names_this".into(), "\"} or up{".into());
    assert_eq!(template.bind(&more), bound, "what is not used is ignored");
    let Ok(bound) = bound else { return };
    for name in template.params() {
        let mut less = given.clone();
        less.remove(name);
        let error = template.bind(&less).expect_err("it is used");
        assert!(error.to_string().contains(name), "{error}");
    }
    // Where all parameters stand in strings, what is around the strings is the template's own.
    let (around, strings) = apart(&config.text);
    if !around.contains("{{") && strings.is_some() {
        let (bound_around, bound_strings) = apart(&bound);
        assert_eq!(bound_around, around, "{bound}");
        assert_eq!(bound_strings, strings, "{bound}");
    }
}

fn config(text: &str) -> TemplateConfig {
    let param = |(name, kind): (&str, ParamType)| ParamConfig {
        name: name.into(),
        kind,
    };
    let kinds = [
        ("m", ParamType::Metric),
        ("l", ParamType::Label),
        ("n", ParamType::Number),
    ];
    TemplateConfig {
        name: "t".into(),
        text: text.into(),
        params: kinds.map(param).into(),
        ..TemplateConfig::default()
    }
}

/// What stands around the strings and comments of a query, and how many strings there are; nothing
/// of the latter if the last has no end.
fn apart(query: &str) -> (String, Option<usize>) {
    let (mut around, mut strings) = (String::new(), 0);
    let mut rest = query.chars();
    while let Some(c) = rest.next() {
        match c {
            '#' => drop(rest.by_ref().find(|&c| c == '\n')),
            '"' | '\'' | '`' => {
                strings += 1;
                around.push(c);
                loop {
                    match rest.next() {
                        None => return (around, None),
                        Some(end) if end == c => break,
                        Some('\\') if c != '`' => drop(rest.next()),
                        Some(_) => {}
                    }
                }
            }
            c => around.push(c),
        }
    }
    (around, Some(strings))
}
