//! Every script, played to the collector in process. `UPDATE=1` rewrites the expected transcripts.

use tidegate_conformance::{first_difference, front, run, script_files};

#[test]
fn every_script_is_answered_as_expected() {
    let files = script_files().expect("the scripts are readable");
    assert!(files.len() >= 3, "the scripts are in place");
    let update = std::env::var_os("UPDATE").is_some();
    let mut failures = Vec::new();
    for file in files {
        let transcript = match run(&file.script, front) {
            Ok(transcript) => transcript,
            Err(error) => {
                failures.push(format!("{}.txt: {error}", file.name));
                continue;
            }
        };
        if update {
            std::fs::write(&file.expected_path, &transcript).expect("the folder is writable");
        } else if let Some(difference) = first_difference(&file.expected, &transcript) {
            failures.push(format!("{}.out differs at {difference}", file.name));
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n(UPDATE=1 rewrites the .out files)",
        failures.join("\n\n")
    );
}

#[test]
fn the_same_script_gives_the_same_transcript_twice() {
    for file in script_files().expect("the scripts are readable") {
        assert_eq!(
            run(&file.script, front),
            run(&file.script, front),
            "{}",
            file.name
        );
    }
}
