//! Rules, mutes and links together: what the dispatcher asks about each metric.

use crate::incident::Head;
use crate::link::{Action, Links};
use crate::message;
use crate::mute::Mutes;
use crate::outbox::storm::Limits;
use crate::outbox::telling::{self, Match};
use crate::rule::{BadRule, Rule, Rules};
use skyline_conf::model::alerting::Alerting;
use skyline_core::clock::Clock;
use skyline_render_proxy::link::{Graph, signed_picture};
use skyline_render_proxy::signed::Signer;
use skyline_sql::Store;
use std::path::Path;

/// The link of a message mutes for so long, seconds.
pub const MUTED_BY_LINK: u32 = 3_600;

/// What a picture behind a link shows before now, seconds.
const SHOWN: f64 = 86_400.0;
/// How large it is.
const SIZE: &str = "&width=588&height=308";
/// Names longer than this have no link to a picture, bytes: mail programs cut longer addresses.
const LONGEST: usize = 1_000;

/// Who is told, with mutes and links.
#[derive(Debug)]
pub struct Policy {
    /// The rules.
    pub rules: Rules,
    /// The mutes.
    pub mutes: Mutes,
    /// Signed links; none: the key cannot be used.
    pub links: Option<Links>,
    /// Signs addresses of pictures; none: there is no render proxy that would answer them.
    pub pictures: Option<Signer>,
}

impl Policy {
    /// Of the settings. `state_dir` holds the key of links; without a usable key there are none, and the log says so.
    /// Mutes are read by [`Mutes::keep_fresh`]. `pictures`: of the render proxy, if there is one.
    ///
    /// # Errors
    /// A rule that cannot be used.
    pub fn open(
        settings: &Alerting,
        state_dir: &Path,
        store: Store,
        clock: Clock,
        pictures: Option<Signer>,
    ) -> Result<Self, BadRule> {
        let rules = Rules::compile(settings)?;
        let channels = settings.configured().len();
        if rules.is_default() && channels > 0 {
            tracing::info!(
                channels,
                "there is no [[alerting.rule]]: every anomaly is told to the default recipients of every channel"
            );
        }
        let links = Links::open(state_dir, &settings.public_url, settings.link_seconds)
            .inspect_err(|error| tracing::error!(%error, "messages have no links to acknowledge and mute"))
            .ok();
        Ok(Self { rules, mutes: Mutes::new(store, clock, &settings.zone), links, pictures })
    }

    /// Names of the rules, in order.
    #[must_use]
    pub fn rule_names(&self) -> Vec<String> {
        self.rules.all().iter().map(|rule| rule.name.clone()).collect()
    }
}

/// How many messages channels take, from the settings.
#[must_use]
pub fn limits(settings: &Alerting) -> Limits {
    let limits = &settings.limits;
    let names = settings.configured().into_iter().map(|channel| channel.name);
    // A channel without a limit of its own would get that of the others.
    let of = names
        .map(|name| (limits.of(&name).unwrap_or(u32::MAX), name))
        .map(|(most, name)| (name, most))
        .collect();
    Limits { window: limits.window_seconds, of, other: limits.of("") }
}

impl telling::Rules for Policy {
    fn apply(&self, metric: &str, now: f64) -> Vec<Match> {
        let mut told = Vec::new();
        for found in self.rules.apply(metric, now) {
            if self.mutes.find(metric, &found.rule.name, now).is_none() {
                told.extend(matches(&found.rule));
            }
        }
        told
    }

    fn repeat(&self, metric: &str, now: f64) -> f64 {
        // Whether somebody is told just now does not change what belongs together.
        let found = self.rules.apply(metric, now);
        found.iter().filter_map(|found| found.rule.repeat).fold(0.0, f64::max)
    }

    fn is_muted(&self, metric: &str, rule: &str, now: f64) -> bool {
        self.mutes.find(metric, rule, now).is_some()
    }

    fn longest_repeat(&self) -> f64 {
        self.rules.all().iter().filter_map(|rule| rule.repeat).fold(0.0, f64::max)
    }

    fn links(&self, incident: &Head, metric: &str, counter: bool, now: f64) -> message::Links {
        let Some(links) = self.links.as_ref().filter(|links| !links.public_url().is_empty()) else {
            return message::Links::default();
        };
        let url = links.public_url();
        let of = |action: Action| links.link(&action, now).unwrap_or_default();
        let graph = Graph {
            metric,
            counter,
            from: (now - SHOWN).max(0.0) as i64,
            until: now.max(0.0) as i64,
            title: "",
            colour: "",
            settings: SIZE,
        };
        let end = (now + links.valid()) as i64;
        let is_short = metric.len() <= LONGEST;
        let picture = |signer: &Signer| signed_picture(url, &graph, signer, end);
        message::Links {
            graph: self.pictures.as_ref().filter(|_| is_short).and_then(picture).unwrap_or_default(),
            incident: of(Action::Show(incident.key.clone())),
            acknowledge: of(Action::Acknowledge(incident.key.clone())),
            mute: of(Action::Mute { metric: metric.to_owned(), seconds: MUTED_BY_LINK }),
        }
    }
}

/// Who a rule tells, one a channel.
fn matches(rule: &Rule) -> impl Iterator<Item = Match> + '_ {
    let whole = |seconds: f64| seconds as u32;
    let escalate = rule.escalation.as_ref().map(|escalation| {
        let lanes = escalation.targets.iter().flat_map(|target| {
            target.recipients.iter().map(|recipient| (target.channel.clone(), recipient.clone()))
        });
        (whole(escalation.after), lanes.collect::<Vec<_>>())
    });
    rule.targets.iter().map(move |target| Match {
        rule: rule.name.clone(),
        channel: target.channel.clone(),
        recipients: target.recipients.clone(),
        severity: rule.severity,
        repeat_seconds: rule.repeat.map(whole).unwrap_or_default(),
        minimum_seconds: whole(rule.minimum),
        recovery: rule.recovery,
        escalate: escalate.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::telling::Rules as _;
    use skyline_sql::mute::{MuteKind, NewMute};

    async fn policy(rules: &str) -> (tempfile::TempDir, Policy) {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[alerting]\npublic_url = 'https://sky.company.internal/'\n[[alerting.webhook]]\nname = 'chat'\nurl = 'http://127.0.0.1:9/'\n\
             [alerting.email]\nsender = 'sky@company.internal'\ndefault_recipients = ['ops@company.internal']\n{rules}"
        );
        let settings = skyline_conf::load::text(&text, Path::new("s.toml")).unwrap().settings.alerting;
        let store = Store::open(&folder.path().join("a.db")).await.unwrap();
        let policy =
            Policy::open(&settings, folder.path(), store, Clock::at(1_000.0), Some(Signer::new(b"key")))
                .unwrap();
        (folder, policy)
    }

    #[tokio::test]
    async fn who_is_told_by_what() {
        let (_folder, policy) = policy(
            "[[alerting.rule]]\nname = 'a'\nmatch = 'web.*'\nescalate_after_seconds = 60\nescalate_to = ['email:boss@x.internal', 'chat']\n\
             [[alerting.rule]]\nname = 'b'\nmatch = '**'\nchannel = 'chat'\nrepeat_seconds = 0\nminimum_seconds = 5\n",
        )
        .await;
        let said = |metric: &str| -> Vec<String> {
            policy
                .apply(metric, 1_000.0)
                .iter()
                .map(|m| format!("{} {} {}", m.rule, m.channel, m.recipients.join("+")))
                .collect()
        };
        assert_eq!(said("web.1"), ["a email ops@company.internal", "a chat chat", "b chat chat"]);
        let found = policy.apply("web.1", 1_000.0);
        let (after, lanes) = found[0].escalate.as_ref().unwrap();
        let lanes: Vec<_> = lanes.iter().map(|lane| format!("{}:{}", lane.0, lane.1)).collect();
        assert_eq!((*after, lanes.join(" ")), (60, "email:boss@x.internal chat:chat".into()));
        assert_eq!((found[2].repeat_seconds, found[2].minimum_seconds), (0, 5));
        assert_eq!(
            (policy.repeat("web.1", 0.0), policy.repeat("x", 0.0), policy.longest_repeat()),
            (1_800.0, 0.0, 1_800.0)
        );

        let mute = NewMute {
            kind: MuteKind::Rule,
            pattern: "a".into(),
            until: None,
            schedule: None,
            zone: None,
            reason: None,
        };
        policy.mutes.add(mute.clone(), &policy.rule_names(), 2).await.unwrap();
        assert_eq!(said("web.1"), ["b chat chat"]);
        assert_eq!(policy.repeat("web.1", 0.0), 1_800.0, "a mute changes nothing of what belongs together");
        let mute = NewMute { kind: MuteKind::Name, pattern: "web.1".into(), ..mute };
        policy.mutes.add(mute, &[], 2).await.unwrap();
        assert!(said("web.1").is_empty());
        assert_eq!(said("web.2"), ["b chat chat"]);
    }

    #[tokio::test]
    async fn links_lead_to_the_node() {
        let (_folder, policy) = policy("").await;
        let head = Head {
            key: "0a".into(),
            first_metric: String::new(),
            opened: 0.0,
            since: 0.0,
            learnt: 0.0,
            ended: None,
            returns: 0,
            changed: 0.0,
            acknowledged: None,
            reopened: None,
        };
        let links = policy.links(&head, "a b&<\">", false, 100_000.0);
        assert_eq!(links.graph, "", "blanks mean something else to Graphite");
        let graph = policy.links(&head, "a.b&<>", true, 100_000.0).graph;
        let query = graph.strip_prefix("https://sky.company.internal/render?").unwrap();
        let shown = Signer::new(b"key").check(query, 100_001).unwrap();
        assert_eq!(
            shown,
            "from=13600&until=100000&target=cactiStyle%28nonNegativeDerivative%28a.b%26%3C%3E%29%29&width=588&height=308"
        );
        let read = |link: &str| {
            let token = link.strip_prefix("https://sky.company.internal/alert/").unwrap();
            policy.links.as_ref().unwrap().read(token, 100_000.0).unwrap().0
        };
        assert_eq!(read(&links.incident), Action::Show("0a".into()));
        assert_eq!(read(&links.acknowledge), Action::Acknowledge("0a".into()));
        assert_eq!(read(&links.mute), Action::Mute { metric: "a b&<\">".into(), seconds: 3_600 });
    }

    #[test]
    fn limits_of_the_settings() {
        let text = "[alerting.limits]\nwindow_seconds = 60\nemail = 0\nwebhook = 7\n\
                    [alerting.email]\nsender = 'sky@company.internal'\n";
        let settings = skyline_conf::load::text(text, Path::new("s.toml")).unwrap().settings.alerting;
        let limits = limits(&settings);
        assert_eq!((limits.window, limits.of("email"), limits.of("chat")), (60.0, Some(u32::MAX), Some(7)));
    }
}
