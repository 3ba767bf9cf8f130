//! The fields that each chunk of a stream repeats: the last spelling of each, read when they are asked for. A field that says
//! what it said before costs a comparison.

use super::text::Text;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Names and values as JSON, in the order in which they were first seen.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

/// The fields of one chunk.
pub(super) type Rest<'a> = Vec<(Text<'a>, &'a RawValue)>;

impl Fields {
    /// What `Object.assign` does.
    pub(super) fn assign(&mut self, rest: &Rest) {
        for (at, (name, value)) in rest.iter().enumerate() {
            let (name, value) = (name.get(), value.get());
            // Chunks keep their order.
            let same = self.0.get(at).filter(|(known, _)| known == name).map(|_| at);
            match same.or_else(|| self.0.iter().position(|(known, _)| known == name)) {
                Some(at) if self.0[at].1 == value => {}
                Some(at) => {
                    self.0[at].1.clear();
                    self.0[at].1.push_str(value);
                }
                None => self.0.push((name.to_owned(), value.to_owned())),
            }
        }
    }

    /// The values. One that nests too deep to be read is left out.
    pub(super) fn into_map(self) -> Map<String, Value> {
        let values = self.0.into_iter().map(|(name, json)| Some((name, serde_json::from_str(&json).ok()?)));
        values.flatten().collect()
    }
}
