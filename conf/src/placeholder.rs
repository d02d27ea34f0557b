//! What stands in examples to be replaced: addresses, domains and tokens that nobody has.

/// Domains of examples. What ends in one of them reaches nobody, or a stranger.
const DOMAINS: [&str; 8] = [
    "example.com",
    "example.net",
    "example.org",
    "example",
    "your_domain.com",
    "your-domain.com",
    "yourdomain.com",
    "yourcompany.com",
];

/// Parts of texts that only examples have.
const WORDS: [&str; 9] = [
    "your_",
    "your-",
    "yourown",
    "xoxb-your",
    "the_user_password",
    "this_is_the",
    "hipchat_auth_token",
    "changeme",
    "<token>",
];

/// Whether an address, a URL or a host is one of an example.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let text = text.trim().trim_end_matches('>').to_ascii_lowercase();
    let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.');
    DOMAINS.iter().any(|domain| {
        host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

/// Whether a token, a key or a name is one of an example.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    WORDS.iter().any(|word| text.contains(word))
        || (text.len() >= 8
            && text
                .strip_prefix("xoxb-")
                .is_some_and(|rest| rest.chars().all(|c| matches!(c, 'x' | '-' | '.' | '0' | '*'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for text in [
            "ops@example.com",
            "Ops <ops@Example.NET>",
            "https://skyline.example.org:8443/x",
            "you@your_domain.com",
            "example.com.",
            "a@b.example",
        ] {
            assert!(is_address(text), "{text}");
        }
        for text in
            ["ops@counterexample.com", "ops@company.internal", "https://a.b/example.com", "localhost", ""]
        {
            assert!(!is_address(text), "{text}");
        }
    }

    #[test]
    fn tokens() {
        for text in
            ["xoxb-your-token", "YOUR_slack_bot_token", "xoxb-xxxxxxxx", "this_is_the_key", "CHANGEME"]
        {
            assert!(is_token(text), "{text}");
        }
        for text in ["xoxb-2345-abcdef", "C0123456789", "#ops", ""] {
            assert!(!is_token(text), "{text}");
        }
    }
}
