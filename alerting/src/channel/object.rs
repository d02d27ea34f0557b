//! Objects of JSON, one member more.

use serde_json::Value;

/// An object with a member set; anything else as it is.
pub(super) fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    object
}
