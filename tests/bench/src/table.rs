//! The table of results.

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// No target; the number is for whoever reads.
    None,
}

/// Rows as they are measured.
#[derive(Debug, Default)]
pub(crate) struct Table {
    missed: u32,
}

impl Table {
    /// Begins a group of rows.
    pub(crate) fn heading(&self, text: &str) {
        println!("\n{text}");
    }

    /// Prints a row: what, its value with its unit, and the number that the target is about.
    pub(crate) fn row(
        &mut self,
        what: &str,
        value: &str,
        judged: Option<(f64, &str)>,
        target: Target,
    ) {
        let judged_text =
            judged.map_or_else(String::new, |(number, unit)| format!("{number:.2} {unit}"));
        let verdict = match (judged, target) {
            (Some((number, _)), Target::AtMost(most)) if number > most => {
                self.missed += 1;
                format!("MISSED, at most {most}")
            }
            (Some(_), Target::AtMost(most)) => format!("met, at most {most}"),
            (Some((number, _)), Target::AtLeast(least)) if number < least => {
                self.missed += 1;
                format!("MISSED, at least {least}")
            }
            (Some(_), Target::AtLeast(least)) => format!("met, at least {least}"),
            _ => String::new(),
        };
        println!("  {what:<58} {value:>16}  {judged_text:<26} {verdict}");
    }

    /// Says whether all targets were met.
    pub(crate) fn conclude(self) -> bool {
        match self.missed {
            0 => println!("\nevery target is met"),
            missed => println!("\n{missed} targets are missed"),
        }
        self.missed == 0
    }
}
