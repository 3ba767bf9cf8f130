//! What is wrong with a file of rules, and where.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    at: usize,
    /// Which rule and which field; may be empty.
    field: String,
    words: String,
    line: usize,
    column: usize,
}

impl Mistake {
    pub(super) fn new(at: usize, field: impl Into<String>, words: impl Into<String>) -> Self {
        Self { at, field: field.into(), words: words.into(), line: 0, column: 0 }
    }

    /// Whether it stands in the line of that place.
    pub(super) fn is_in_line(&self, at: usize, text: &str) -> bool {
        let between = text.as_bytes().get(self.at.min(at)..self.at.max(at));
        between.is_some_and(|between| !between.contains(&b'\n'))
    }

    /// Which rule and which field; may be empty.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong, and what is allowed.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// From 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// In characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.field.is_empty() { "" } else { ": " };
        write!(f, "{}:{}: {}{colon}{}", self.line, self.column, self.field, self.words)
    }
}

/// Everything that is wrong with a file, in the order in which it stands there.
#[derive(Debug)]
pub struct Mistakes {
    file: String,
    list: Vec<Mistake>,
}

impl Mistakes {
    pub(super) fn new(file: &str, text: &str, mut list: Vec<Mistake>) -> Self {
        list.sort_by_key(|mistake| mistake.at);
        let (mut line, mut start, mut from) = (1, 0, 0);
        for mistake in &mut list {
            let at = floor(text, mistake.at);
            line += memchr::memchr_iter(b'\n', &text.as_bytes()[from..at]).count();
            start = text[from..at].rfind('\n').map_or(start, |feed| from + feed + 1);
            from = at;
            (mistake.line, mistake.column) = (line, text[start..at].chars().count() + 1);
        }
        Self { file: file.to_owned(), list }
    }

    /// Each of them.
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }
}

/// Where a character begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{mistake}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
