//! `tidegate packs`: what packs there are, and each as TOML to start from.

use std::io::Write as _;
use std::process::ExitCode;

use tidegate_core::{PackConfig, packs};
use tidegate_host::config::{HostConfig, pack_toml};

use crate::cli::{PacksCommand, PacksFrom};
use crate::{FAILED, WRONG, refuse};

pub(crate) fn run(command: &PacksCommand) -> ExitCode {
    match told(command) {
        // Who closes the pipe early has read enough.
        Ok(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => refuse(FAILED, error),
            Ok(()) | Err(_) => ExitCode::SUCCESS,
        },
        Err(error) => refuse(WRONG, error),
    }
}

fn told(command: &PacksCommand) -> Result<String, String> {
    match command {
        PacksCommand::List(from) => Ok(known(from)?.iter().map(line).collect()),
        PacksCommand::Show { name, from } => {
            let packs = known(from)?;
            let found = packs.iter().find(|pack| pack.name == *name);
            found.map(pack_toml).ok_or_else(|| {
                let names: Vec<&str> = packs.iter().map(|pack| pack.name.as_str()).collect();
                format!("no pack is named {name:?}; there are {}", names.join(", "))
            })
        }
    }
}

fn known(from: &PacksFrom) -> Result<Vec<PackConfig>, String> {
    let mut known = packs::all();
    if let Some(path) = &from.config {
        let config = HostConfig::load(path).map_err(|error| error.to_string())?;
        known.extend(config.packs);
    }
    Ok(known)
}

/// A name, its records, and what it is for.
fn line(pack: &PackConfig) -> String {
    let records: Vec<&str> = pack
        .records
        .iter()
        .map(|record| record.name.as_str())
        .collect();
    let (name, records, about) = (&pack.name, records.join(","), &pack.description);
    format!("{name}\t{records}\t{about}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: PacksFrom = PacksFrom { config: None };

    #[test]
    fn a_line_names_each_pack_and_its_records() {
        let list = told(&PacksCommand::List(NOWHERE)).unwrap();
        let names: Vec<_> = list
            .lines()
            .filter_map(|line| line.split('\t').next())
            .collect();
        assert_eq!(names, packs::NAMES);
        assert!(
            list.contains("inference\treplica,allocation\tModel servers"),
            "{list}"
        );
    }

    #[test]
    fn a_pack_is_shown_as_it_would_stand_in_a_file() {
        let show = |name: &str| {
            told(&PacksCommand::Show {
                name: name.into(),
                from: NOWHERE,
            })
        };
        assert!(
            show("node")
                .unwrap()
                .starts_with("[[pack]]\nname = \"node\"\n")
        );
        let error = show("nodes").unwrap_err();
        assert_eq!(
            error,
            "no pack is named \"nodes\"; there are node, functions, inference"
        );
    }
}
