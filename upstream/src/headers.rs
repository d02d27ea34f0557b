//! What the settings say of a server, as headers of every question.

use crate::options::{Authorization, Options, basic};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use skyline_core::problem::Problem;

/// Headers of every question.
///
/// # Errors
/// A name or value that no header may have.
pub(crate) fn headers(options: &Options) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    let name_of = &options.name;
    let value = |name: &str, text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| {
            let what =
                format!("{name_of}: the value of the header {name} has characters that no header may have");
            Problem::new(what, "it may hold no line ends and no control characters")
        })?;
        value.set_sensitive(true);
        Ok(value)
    };
    for (name, secret) in &options.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            Problem::new(format!("{name_of}: {name:?} is no name of a header"), "write it as X-Org-Id")
        })?;
        headers.append(parsed, value(name, secret.reveal())?);
    }
    let authorization = match &options.authorization {
        Authorization::None => return Ok(headers),
        Authorization::Basic(user, password) => format!("Basic {}", basic(user, password)),
        Authorization::Bearer(token) => format!("Bearer {}", token.reveal()),
        Authorization::Verbatim(text) => text.reveal().to_owned(),
    };
    headers.insert(AUTHORIZATION, value("authorization", &authorization)?);
    Ok(headers)
}
