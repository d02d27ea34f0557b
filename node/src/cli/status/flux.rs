//! The line of requests that brought points over HTTP, and why some were refused.

use super::{harmless, number};
use serde_json::Value;
use std::fmt::Write as _;

/// Nothing where Flux is switched off.
pub(super) fn write(out: &mut String, status: &Value) -> std::fmt::Result {
    let Some(flux) = status.get("flux").filter(|flux| flux.is_object()) else { return Ok(()) };
    let of = |key: &str| number(flux.get(key));
    write!(
        out,
        "  flux requests  {}: {} taken, {} refused, {} to be sent again",
        of("requests"),
        of("taken"),
        of("refused"),
        of("put_off")
    )?;
    for (status, n) in flux.get("by_status").and_then(Value::as_object).into_iter().flatten() {
        write!(out, "; {} with {}{}", number(Some(n)), harmless(status), meaning(status))?;
    }
    writeln!(out)
}

fn meaning(status: &str) -> &'static str {
    match status {
        "401" => " (no key, or a wrong one)",
        "413" => " (too long)",
        "415" => " (a body of another kind)",
        "429" => " (more than the key may send)",
        "503" => " (the journal had no room)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refusals_are_told_apart() {
        let mut out = String::new();
        write(&mut out, &json!({})).unwrap();
        assert_eq!(out, "");
        let flux = json!({"requests": 1234, "taken": 1230, "refused": 4, "put_off": 0, "by_status": {"400": 1, "401": 3}});
        write(&mut out, &json!({ "flux": flux })).unwrap();
        assert_eq!(
            out,
            "  flux requests  1,234: 1,230 taken, 4 refused, 0 to be sent again; 1 with 400; 3 with 401 (no key, or a wrong one)\n"
        );
    }
}
