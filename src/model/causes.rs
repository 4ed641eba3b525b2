//! An error with its causes, from the outside in.

use std::error::Error;

/// The texts of an error and its causes. Some libraries repeat their cause in their own text: it is said once.
pub fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        source = cause.source();
    }
    texts
}

/// The same in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        #[source]
        source: Option<Box<Link>>,
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let inner = Link { text: "no space", source: None };
        let middle = Link { text: "writing x: no space", source: Some(Box::new(inner)) };
        let outer = Link { text: "packing", source: Some(Box::new(middle)) };
        assert_eq!(chain(&outer), "packing: writing x: no space");
    }
}
