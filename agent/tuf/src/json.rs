//! JSON without ambiguities, and the canonical form that is signed: OLPC's, as
//! securesystemslib writes it. Members are sorted, nothing stands between
//! tokens, and strings are UTF-8 in which only `"` and `\` are escaped.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{collections::BTreeMap, fmt};

/// A JSON value whose numbers are integers and whose members are unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads JSON; depth is limited to 128.
    ///
    /// # Errors
    /// If it is none, has fractions, or has a member twice.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// A member of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// The canonical form.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, write_text);
        out
    }

    /// As [`Self::canonical`], but as JSON has it: control characters, which the
    /// canonical form leaves as they are, can't be read back.
    #[must_use]
    pub fn file(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, write_escaped);
        out
    }

    fn write(&self, out: &mut Vec<u8>, write_text: fn(&str, &mut Vec<u8>)) {
        match self {
            Self::Null => out.extend(b"null"),
            Self::Bool(true) => out.extend(b"true"),
            Self::Bool(false) => out.extend(b"false"),
            Self::Int(number) => out.extend(number.to_string().bytes()),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(out, write_text);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_text(name, out);
                    out.push(b':');
                    value.write(out, write_text);
                }
                out.push(b'}');
            }
        }
    }
}

fn write_escaped(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        i64::try_from(value)
            .map(Json::Int)
            .map_err(|_| E::custom("a number is larger than 2^63"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Json, E> {
        Err(E::custom("a number is no integer below 2^63"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Json::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((name, value)) = members.next_entry::<String, Json>()? {
            if all.contains_key(&name) {
                return Err(de::Error::custom(format!(
                    "the member {name:?} is there twice"
                )));
            }
            all.insert(name, value);
        }
        Ok(Json::Object(all))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn canonical(text: &str) -> String {
        String::from_utf8(Json::read(text.as_bytes()).unwrap().canonical()).unwrap()
    }

    #[test]
    fn the_canonical_form_is_that_of_securesystemslib() {
        // The right-hand sides are what its encode_canonical gives.
        for (text, expected) in [
            (
                "{ \"b\" : 1, \"a\": [true, null, -3] }",
                r#"{"a":[true,null,-3],"b":1}"#,
            ),
            (r#""a\n\"\\\u0001\u00e9""#, "\"a\n\\\"\\\\\u{1}\u{e9}\""),
            (
                r#"{"\uffff":1,"\ud800\udc00":2}"#,
                "{\"\u{ffff}\":1,\"\u{10000}\":2}",
            ),
        ] {
            assert_eq!(canonical(text), expected);
            let value = Json::read(text.as_bytes()).unwrap();
            assert_eq!(Json::read(&value.file()).unwrap(), value);
        }
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        for text in [
            r#"{"a":1,"a":1}"#,
            "1.0",
            "1e3",
            "9223372036854775808",
            "",
            "{} {}",
            "\"\u{1}\"",
        ] {
            assert!(Json::read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Json::read("[".repeat(200).as_bytes()).is_err());
    }
}
