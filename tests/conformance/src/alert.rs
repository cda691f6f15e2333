//! Reads the lines of a script that define alert rules.

use std::time::Duration;

use tidegate_core::{
    AlertCondition, AlertRule, AlertWindow, BandConfig, BandSide, Comparison, Config,
};

use crate::cursor::{Cursor, duration};

/// `alert-interval D`, or `alert` with `NAME CONDITION [OPTION]…: SELECTOR`.
pub(crate) fn line(config: &mut Config, verb: &str, mut words: Cursor<'_>) -> Result<(), String> {
    if verb == "alert-interval" {
        config.alerts.interval = duration(words.word("a duration")?)?;
        return words.end();
    }
    let (head, selector) = words
        .tail()
        .split_once(": ")
        .ok_or("an alert looks like `NAME CONDITION: SELECTOR`")?;
    config.alerts.rules.push(rule(head, selector)?);
    Ok(())
}

fn rule(head: &str, selector: &str) -> Result<AlertRule, String> {
    let mut words = Cursor::new(head);
    let name = words.word("a name")?;
    let condition = words.word("a condition")?;
    let condition = match condition {
        "band" => AlertCondition::Band(BandConfig::default()),
        _ => comparing(condition, &mut words)?,
    };
    let mut rule = AlertRule::new(name, selector, condition);
    while let Some(option) = words.maybe_word() {
        let (name, value) = option
            .split_once('=')
            .ok_or_else(|| format!("{option:?} is not NAME=VALUE"))?;
        match name {
            "for" => rule.pending_for = duration(value)?,
            "keep" => rule.keep_firing_for = duration(value)?,
            "label" | "annotation" => {
                let (name, text) = value
                    .split_once(':')
                    .ok_or_else(|| format!("{option:?} is not {name}=NAME:TEXT"))?;
                let texts = match option.starts_with("label") {
                    true => &mut rule.labels,
                    false => &mut rule.annotations,
                };
                texts.insert(name.to_owned(), text.to_owned());
            }
            _ => {
                let AlertCondition::Band(band) = &mut rule.condition else {
                    return Err(format!("an alert has no option {name:?}"));
                };
                band_option(band, name, value)?;
            }
        }
    }
    Ok(rule)
}

/// `newest OP VALUE`, `change[WINDOW] OP VALUE` or `STATISTIC[WINDOW] OP VALUE`.
fn comparing(what: &str, words: &mut Cursor<'_>) -> Result<AlertCondition, String> {
    let sign = words.word("a comparison")?;
    let op = Comparison::ALL
        .into_iter()
        .find(|op| op.as_str() == sign)
        .ok_or_else(|| format!("{sign:?} compares nothing"))?;
    let value = words.number("a value")?;
    if what == "newest" {
        let over = None;
        return Ok(AlertCondition::Threshold { over, op, value });
    }
    let (statistic, window) = what
        .strip_suffix(']')
        .and_then(|what| what.split_once('['))
        .ok_or_else(|| format!("a condition is newest, band or STATISTIC[WINDOW], not {what:?}"))?;
    let window: Duration = duration(window)?;
    if statistic == "change" {
        return Ok(AlertCondition::RateOfChange { window, op, value });
    }
    let statistic = statistic.to_owned();
    let over = Some(AlertWindow { statistic, window });
    Ok(AlertCondition::Threshold { over, op, value })
}

fn band_option(band: &mut BandConfig, name: &str, value: &str) -> Result<(), String> {
    fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
        let number = value.parse();
        number.map_err(|_| format!("{name}={value} is no such number"))
    }
    match name {
        "deviations" => band.deviations = number(name, value)?,
        "memory" => band.memory_samples = number(name, value)?,
        "least" => band.samples_min = number(name, value)?,
        "distance" => band.distance_min = number(name, value)?,
        "side" => {
            let sides = [BandSide::Either, BandSide::Above, BandSide::Below];
            let side = sides.into_iter().find(|side| side.as_str() == value);
            band.side = side.ok_or_else(|| format!("{value:?} is no side of a band"))?;
        }
        _ => return Err(format!("a band has no option {name:?}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AlertRule, String> {
        let mut config = Config::default();
        line(&mut config, "alert", Cursor::new(text))?;
        Ok(config.alerts.rules.remove(0))
    }

    #[test]
    fn every_condition_has_a_word() {
        let newest = read(
            " Hot newest >= 4 for=30s keep=1m label=severity:page annotation=s:{{$value}}: load{a=\"b: c\"}",
        );
        let newest = newest.unwrap();
        assert_eq!(
            (&*newest.name, &*newest.selector),
            ("Hot", "load{a=\"b: c\"}")
        );
        assert_eq!(newest.expression(), "load{a=\"b: c\"} >= 4");
        assert_eq!(
            (
                newest.pending_for.as_secs(),
                newest.keep_firing_for.as_secs()
            ),
            (30, 60)
        );
        assert_eq!(
            (&*newest.labels["severity"], &*newest.annotations["s"]),
            ("page", "{{$value}}")
        );
        let over = read(" Slow p99[5m] > 0.5: x").unwrap();
        assert_eq!(over.expression(), "p99(x[5m]) > 0.5");
        let change = read(" Leak change[1h] > 10: x").unwrap();
        assert_eq!(change.expression(), "change(x[1h]) > 10");
        let band =
            read(" Odd band deviations=2 memory=30 least=5 distance=0.5 side=above: x").unwrap();
        assert_eq!(band.expression(), "x above band(2 deviations)");
        for wrong in [
            " A newest > 4",
            " A newest 4: x",
            " A x > 4: x",
            " A newest > 1 least=3: x",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
