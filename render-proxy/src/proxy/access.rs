//! Who may ask.

use crate::signed::{BadSignature, Signer};
use base64::Engine as _;
use skyline_conf::model::render_proxy::RenderProxy;
use skyline_conf::secret::Secret;
use skyline_core::problem::Problem;
use skyline_upstream::{HeaderMap, header};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Access {
    basic: Option<(String, Secret)>,
    token: Option<Secret>,
    links: Option<Signer>,
}

/// Whether a question is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'q> {
    /// Yes; with this query, where it was signed.
    Yes(Option<&'q str>),
    /// Not without a login.
    Login,
    /// A link that is none, or no longer.
    Link(BadSignature),
}

impl Access {
    /// As the settings want it.
    ///
    /// # Errors
    /// A secret is not where the settings say.
    pub(super) fn new(settings: &RenderProxy, links: Option<Signer>) -> Result<Self, Problem> {
        let basic = match settings.user.as_str() {
            "" => None,
            user => {
                let advice = "name its file in render_proxy.password_file";
                let missing = || Problem::new("render_proxy.user has no password", advice);
                Some((user.to_owned(), settings.credentials().password()?.ok_or_else(missing)?))
            }
        };
        Ok(Self { basic, token: settings.token().password()?, links })
    }

    /// Whether anything is asked for.
    pub(super) const fn is_on(&self) -> bool {
        self.basic.is_some() || self.token.is_some()
    }

    pub(super) fn judge<'q>(&self, headers: &HeaderMap, query: &'q str, now: i64) -> Verdict<'q> {
        if let Some(links) = &self.links {
            match links.check(query, now) {
                Ok(inner) => return Verdict::Yes(Some(inner)),
                Err(BadSignature::None) => {}
                Err(bad) => return Verdict::Link(bad),
            }
        }
        let given =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !self.is_on() || self.is_basic(given) || self.is_token(given) {
            Verdict::Yes(None)
        } else {
            Verdict::Login
        }
    }

    fn is_basic(&self, given: &str) -> bool {
        let Some((user, password)) = &self.basic else { return false };
        let expected = Secret::new(format!("{user}:{}", password.reveal()));
        let given = scheme(given, "basic")
            .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
        given.is_some_and(|given| expected.is(&given))
    }

    fn is_token(&self, given: &str) -> bool {
        let Some(token) = &self.token else { return false };
        scheme(given, "bearer").is_some_and(|given| token.is(given.as_bytes()))
    }
}

fn scheme<'t>(given: &'t str, name: &str) -> Option<&'t str> {
    let (scheme, rest) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case(name).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_upstream::HeaderValue;

    fn asked(access: &Access, authorization: &'static str, query: &'static str) -> Verdict<'static> {
        let headers =
            HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(authorization))]);
        access.judge(&headers, query, 1_000)
    }

    #[test]
    fn logins() {
        let access = Access {
            basic: Some(("u".into(), Secret::new("hunter2"))),
            token: Some(Secret::new("t0ken")),
            links: None,
        };
        assert_eq!(asked(&access, "Basic dTpodW50ZXIy", ""), Verdict::Yes(None));
        assert_eq!(asked(&access, "bearer t0ken", ""), Verdict::Yes(None));
        for wrong in ["", "Basic", "Basic dTpodW50ZXIz", "Bearer t0keN", "Bearer ", "Basic t0ken", "t0ken"] {
            assert_eq!(asked(&access, wrong, ""), Verdict::Login, "{wrong}");
        }
        assert_eq!(asked(&Access::default(), "", ""), Verdict::Yes(None));
        assert!(!format!("{access:?}").contains("hunter2"));
    }

    #[test]
    fn links_need_no_login() {
        let signer = Signer::new(b"key");
        let access = Access { token: Some(Secret::new("t")), links: Some(signer.clone()), basic: None };
        let none = HeaderMap::new();
        let signed = signer.sign("target=a", 2_000);
        assert_eq!(access.judge(&none, &signed, 1_000), Verdict::Yes(Some("target=a")));
        assert_eq!(access.judge(&none, &signed, 2_000), Verdict::Link(BadSignature::Ended));
        let other = signed.replace("=a", "=b");
        assert_eq!(access.judge(&none, &other, 1_000), Verdict::Link(BadSignature::Wrong));
        assert_eq!(access.judge(&none, "target=a", 1_000), Verdict::Login);
    }
}
