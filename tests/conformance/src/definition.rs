//! Reads the lines of a script that define a pack: its queries, and the fields of its records.

use tidegate_core::{Config, FieldConfig, PackConfig, RecordConfig};

use crate::cursor::Cursor;
use crate::settings::template;

/// Applies the line that `verb` begins.
pub(crate) fn line(config: &mut Config, verb: &str, mut words: Cursor<'_>) -> Result<(), String> {
    let name = words.word("a pack")?;
    if verb == "define" {
        config.packs.push(pack(name, words)?);
        return Ok(());
    }
    let mut packs = config.packs.iter_mut();
    let pack = packs
        .find(|pack| pack.name == name)
        .ok_or_else(|| format!("no pack {name:?} is defined above"))?;
    match verb {
        "query" => {
            let (head, text) = words
                .tail()
                .split_once(": ")
                .ok_or("a query looks like `PACK NAME: TEXT`")?;
            pack.queries.push(template(head, text)?);
            Ok(())
        }
        "rows" => {
            let record = RecordConfig {
                name: words.word("a record")?.to_owned(),
                keys: names(words.maybe_word().unwrap_or_default()),
                ..RecordConfig::default()
            };
            pack.records.push(record);
            words.end()
        }
        _ => {
            let name = words.word("a record")?;
            let mut records = pack.records.iter_mut();
            let record = records
                .find(|record| record.name == name)
                .ok_or_else(|| format!("no rows of {name:?} are defined above"))?;
            record.fields.push(field(words)?);
            Ok(())
        }
    }
}

fn pack(name: &str, mut words: Cursor<'_>) -> Result<PackConfig, String> {
    let mut pack = PackConfig {
        name: name.to_owned(),
        ..PackConfig::default()
    };
    while let Some(word) = words.maybe_word() {
        let (param, value) = pair(word)?;
        pack.defaults.insert(param, value);
    }
    Ok(pack)
}

fn field(mut words: Cursor<'_>) -> Result<FieldConfig, String> {
    let mut field = FieldConfig {
        name: words.word("a field")?.to_owned(),
        query: words.word("a query")?.to_owned(),
        ..FieldConfig::default()
    };
    while let Some(word) = words.maybe_word() {
        let (option, value) = pair(word)?;
        match &*option {
            "by" => field.by = names(&value),
            "unit" => field.unit = value,
            "when" => field.when = Some(value),
            "source" => field.source = Some(value),
            _ => return Err(format!("a field has no option {option:?}")),
        }
    }
    Ok(field)
}

fn pair(word: &str) -> Result<(String, String), String> {
    let (name, value) = word
        .split_once('=')
        .ok_or_else(|| format!("{word:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn names(list: &str) -> Vec<String> {
    let names = list.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}
