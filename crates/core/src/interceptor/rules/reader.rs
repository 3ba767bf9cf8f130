//! Reads values of TOML with their places, and gathers what is wrong with them.

use super::mistake::Mistake;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// What is read from, and where one is in it.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub mistakes: Vec<Mistake>,
    /// The rules are for a relay of messages.
    pub is_for_messages: bool,
    /// What the rule is called.
    pub rule: String,
}

/// A table and the path to it.
#[derive(Clone, Debug)]
pub(super) struct Table<'t> {
    fields: &'t DeTable<'t>,
    pub at: usize,
    pub path: String,
}

impl<'t> Table<'t> {
    pub(super) fn root(fields: &'t DeTable<'t>) -> Self {
        Self { fields, at: 0, path: String::new() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'t Value<'t>> {
        self.fields.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// The path to a field of it.
    pub(super) fn to(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Names, their places and values, as they stand in the file.
    pub(super) fn in_order(&self) -> Vec<(&'t str, usize, &'t Value<'t>)> {
        let mut list: Vec<_> =
            self.fields.iter().map(|(key, value)| (&**key.get_ref(), key.span().start, value)).collect();
        list.sort_by_key(|(_, at, _)| *at);
        list
    }
}

impl Reader {
    /// Something is wrong with the field at `path`.
    pub(super) fn wrong(&mut self, at: usize, path: &str, words: impl Into<String>) {
        let field = match (self.rule.is_empty(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => self.rule.clone(),
            (false, false) => format!("{}: {path}", self.rule),
        };
        self.mistakes.push(Mistake::new(at, field, words));
    }

    /// Something is of another type than it should be.
    fn other(&mut self, value: &Value<'_>, path: &str, allowed: &str) {
        let what = value.get_ref().type_str();
        let article = if what.starts_with(['a', 'i']) { "an" } else { "a" };
        self.wrong(value.span().start, path, format!("this is {article} {what}; allowed: {allowed}"));
    }

    pub(super) fn table<'t>(&mut self, value: &'t Value<'t>, path: &str) -> Option<Table<'t>> {
        let Some(fields) = value.get_ref().as_table() else {
            self.other(value, path, "a table");
            return None;
        };
        Some(Table { fields, at: value.span().start, path: path.to_owned() })
    }

    /// The table under a key, if there is one.
    pub(super) fn table_at<'t>(&mut self, table: &Table<'t>, key: &str) -> Option<Table<'t>> {
        self.table(table.get(key)?, &table.to(key))
    }

    /// Says which fields of it are none.
    pub(super) fn known(&mut self, table: &Table<'_>, allowed: &[&str]) {
        for (key, at, _) in table.in_order() {
            if !allowed.contains(&key) {
                let meant =
                    nearest(key, allowed).map_or(String::new(), |meant| format!("did you mean `{meant}`? "));
                self.wrong(
                    at,
                    &table.path,
                    format!("there is no `{key}`; {meant}allowed: {}", allowed.join(", ")),
                );
            }
        }
    }

    /// The text under a key, and its place.
    pub(super) fn text(&mut self, table: &Table<'_>, key: &str) -> Option<(String, usize)> {
        self.text_of(table.get(key)?, &table.to(key), "a string")
    }

    fn text_of(&mut self, value: &Value<'_>, path: &str, allowed: &str) -> Option<(String, usize)> {
        let Some(text) = value.get_ref().as_str() else {
            self.other(value, path, allowed);
            return None;
        };
        Some((text.to_owned(), value.span().start))
    }

    /// The texts under a key: one, or a list.
    pub(super) fn texts(&mut self, table: &Table<'_>, key: &str) -> Vec<(String, usize)> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let path = table.to(key);
        let Some(list) = value.get_ref().as_array() else {
            return self.text_of(value, &path, "a string or a list of strings").into_iter().collect();
        };
        if list.is_empty() {
            self.wrong(value.span().start, &path, "this list is empty; allowed: one entry at least");
        }
        list.iter().filter_map(|value| self.text_of(value, &path, "a string")).collect()
    }

    /// The tables of a list under a key.
    pub(super) fn tables<'t>(&mut self, table: &Table<'t>, key: &str, allowed: &str) -> Vec<Table<'t>> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let path = table.to(key);
        let Some(list) = value.get_ref().as_array() else {
            self.other(value, &path, allowed);
            return Vec::new();
        };
        if list.is_empty() {
            self.wrong(value.span().start, &path, "this list is empty; allowed: one entry at least");
        }
        list.iter().filter_map(|value| self.table(value, &path)).collect()
    }

    pub(super) fn flag(&mut self, table: &Table<'_>, key: &str) -> Option<bool> {
        let value = table.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.other(value, &table.to(key), "true or false");
        }
        flag
    }

    /// The number under a key, and its place.
    pub(super) fn integer(
        &mut self,
        table: &Table<'_>,
        key: &str,
        allowed: std::ops::RangeInclusive<i64>,
    ) -> Option<(i64, usize)> {
        let value = table.get(key)?;
        let at = value.span().start;
        let words = format!("an integer from {} to {}", allowed.start(), allowed.end());
        let Some(integer) = value.get_ref().as_integer() else {
            self.other(value, &table.to(key), &words);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| allowed.contains(number));
        if number.is_none() {
            self.wrong(at, &table.to(key), format!("{} is out of range; allowed: {words}", integer.as_str()));
        }
        Some((number?, at))
    }
}

/// The name that was meant, if one is near.
fn nearest<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let near = names.iter().map(|name| (strsim::jaro_winkler(word, name), *name));
    near.filter(|(likeness, _)| *likeness > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}
