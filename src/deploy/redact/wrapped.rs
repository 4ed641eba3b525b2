//! Base64 in lines: whoever wraps it cuts it anywhere, so that no line holds the whole of it.

use std::{collections::HashSet, ops::Range};

/// How many characters of a text are looked up at once. Each line that is nearly twice as long has such a part that
/// begins at a multiple of it, wherever the line was cut.
const WINDOW: usize = 24;
/// The shortest lines in which base64 is wrapped.
const LINE: usize = 64;

/// The base64 forms that are longer than a line, in parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Wrapped(HashSet<Box<[u8]>>);

impl Wrapped {
    /// Finds lines of this form from now on.
    pub(super) fn add(&mut self, form: &str) {
        if form.len() > LINE {
            self.0.extend(form.as_bytes().chunks_exact(WINDOW).map(Box::from));
        }
    }

    /// Where base64 stands that holds a part of the forms: all of it, for what is beside that part is most likely the rest
    /// of the line.
    pub(super) fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        if self.0.is_empty() {
            return;
        }
        let mut start = 0;
        for run in text.as_bytes().split(|byte| !is_base64(*byte)) {
            if run.windows(WINDOW).any(|part| self.0.contains(part)) {
                found.push(start..start + run.len());
            }
            start += run.len() + 1;
        }
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_part_of_nearly_two_windows_is_found_whole(
            form in "[A-Za-z0-9+/]{65,300}",
            (from, length) in (0..18_usize, (2 * WINDOW - 1)..200),
            before in "([a-zü]{0,3}[ =\n.])?",
        ) {
            let to = (from + length).min(form.len());
            let mut wrapped = Wrapped::default();
            wrapped.add(&form);
            let mut found = Vec::new();
            wrapped.find(&format!("{before}{} and more", &form[from..to]), &mut found);
            prop_assert_eq!(found, vec![before.len()..before.len() + to - from]);
        }
    }

    #[test]
    fn other_base64_stays() {
        let mut wrapped = Wrapped::default();
        wrapped.add(&"QUJD".repeat(30));
        let mut found = Vec::new();
        wrapped.find(&format!("{} {}", "WFla".repeat(30), "QUJD".repeat(5)), &mut found);
        assert!(found.is_empty());
    }

    #[test]
    fn a_text_of_one_character_costs_no_long_wait() {
        let mut wrapped = Wrapped::default();
        wrapped.add(&"eHh4".repeat(50_000));
        let mut found = Vec::new();
        wrapped.find(&"eHh4".repeat(200_000), &mut found);
        assert_eq!(found, vec![0..800_000]);
    }
}
