//! The chunks of a Chat Completions stream. Fields that are not known are kept as they stand: each chunk repeats them.

use super::fields::Rest;
use super::text::{Index, Text};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

#[derive(Default)]
pub(super) struct Chunk<'a> {
    pub(super) has_id: bool,
    pub(super) choices: Vec<ChoiceDelta<'a>>,
    pub(super) error: Option<&'a RawValue>,
    /// All but `choices`.
    pub(super) rest: Rest<'a>,
}

#[derive(Default)]
pub(super) struct ChoiceDelta<'a> {
    pub(super) index: Index,
    pub(super) delta: Delta<'a>,
    pub(super) finish_reason: Text<'a>,
    pub(super) logprobs: Option<&'a RawValue>,
    pub(super) rest: Rest<'a>,
}

#[derive(Default)]
pub(super) struct Delta<'a> {
    pub(super) role: Text<'a>,
    pub(super) content: Text<'a>,
    pub(super) refusal: Text<'a>,
    pub(super) reasoning_content: Text<'a>,
    pub(super) reasoning: Text<'a>,
    pub(super) audio: Option<&'a RawValue>,
    pub(super) function_call: Option<FunctionDelta<'a>>,
    pub(super) tool_calls: Vec<ToolCallDelta<'a>>,
    pub(super) rest: Rest<'a>,
}

#[derive(Default)]
pub(super) struct ToolCallDelta<'a> {
    pub(super) index: Index,
    pub(super) id: Text<'a>,
    pub(super) kind: Text<'a>,
    pub(super) function: Option<FunctionDelta<'a>>,
    pub(super) rest: Rest<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionDelta<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) arguments: Text<'a>,
}

/// An object of which some fields are known and the others kept.
trait Open<'de>: Default {
    /// Reads the value of that field.
    fn read<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error>;
}

struct OfMap<T>(PhantomData<T>);

impl<'de, T: Open<'de>> Visitor<'de> for OfMap<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut open = T::default();
        while let Some(name) = map.next_key()? {
            open.read(name, &mut map)?;
        }
        Ok(open)
    }
}

/// `null` is as good as nothing.
fn or_default<'de, A: MapAccess<'de>, T: Deserialize<'de> + Default>(map: &mut A) -> Result<T, A::Error> {
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}

impl<'de> Open<'de> for Chunk<'de> {
    fn read<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match name.get() {
            "choices" => self.choices = or_default(map)?,
            "error" => self.error = map.next_value()?,
            key => {
                let is_id = key == "id";
                let value: &RawValue = map.next_value()?;
                self.has_id |= is_id && !matches!(value.get(), "\"\"" | "null");
                self.rest.push((name, value));
            }
        }
        Ok(())
    }
}

impl<'de> Open<'de> for ChoiceDelta<'de> {
    fn read<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match name.get() {
            "index" => self.index = map.next_value()?,
            "delta" => self.delta = or_default(map)?,
            "finish_reason" => self.finish_reason = map.next_value()?,
            "logprobs" => self.logprobs = map.next_value()?,
            _ => self.rest.push((name, map.next_value()?)),
        }
        Ok(())
    }
}

impl<'de> Open<'de> for Delta<'de> {
    fn read<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match name.get() {
            "role" => self.role = map.next_value()?,
            "content" => self.content = map.next_value()?,
            "refusal" => self.refusal = map.next_value()?,
            "reasoning_content" => self.reasoning_content = map.next_value()?,
            "reasoning" => self.reasoning = map.next_value()?,
            "audio" => self.audio = map.next_value()?,
            "function_call" => self.function_call = map.next_value()?,
            "tool_calls" => self.tool_calls = or_default(map)?,
            _ => self.rest.push((name, map.next_value()?)),
        }
        Ok(())
    }
}

impl<'de> Open<'de> for ToolCallDelta<'de> {
    fn read<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        match name.get() {
            "index" => self.index = map.next_value()?,
            "id" => self.id = map.next_value()?,
            "type" => self.kind = map.next_value()?,
            "function" => self.function = map.next_value()?,
            _ => self.rest.push((name, map.next_value()?)),
        }
        Ok(())
    }
}

macro_rules! read_as_open {
    ($($name:ident),*) => {$(
        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map(OfMap::<$name<'de>>(PhantomData))
            }
        }
    )*};
}

read_as_open!(Chunk, ChoiceDelta, Delta, ToolCallDelta);
