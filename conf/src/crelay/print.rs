//! The tree as text: each clause on a line of its own.

use super::parse::is_bare;
use super::syntax::{
    Aggregate, At, Cluster, Codec, Compute, Function, Hash, Host, HostTls, Kind, Listen, ListenTransport,
    Match, Members, Otherwise, Patterns, Protocol, Receptor, SendTo, Sharing, Stamp, Statement, Statistics,
    Tree,
};
use std::fmt::{Display, Formatter, Result, Write};

/// Words with a meaning somewhere. As a name or an expression they are written in quotes, wherever they stand.
const KEYWORDS: [&str; 20] = [
    "*",
    "useall",
    "replication",
    "dynamic",
    "ip",
    "proto",
    "type",
    "transport",
    "ssl",
    "mtls",
    "validate",
    "route",
    "send",
    "stop",
    "every",
    "blackhole",
    "protomin",
    "protomax",
    "ciphers",
    "ciphersuites",
];

/// A word, in quotes if it needs them.
struct Word<'w>(&'w str);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut escaped = false;
        let is_word = self.0.chars().all(|c| {
            let bare = is_bare(c) || escaped && c == ' ';
            escaped = c == '\\';
            bare
        });
        // A backslash at the end would take the blank behind it into the word.
        if is_word && !escaped && !KEYWORDS.contains(&self.0) && !self.0.is_empty() {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

impl Display for Tree {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.statements.iter().try_for_each(|statement| writeln!(f, "{};", statement.value))
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Cluster(cluster) => cluster.fmt(f),
            Self::Match(statement) => statement.fmt(f),
            Self::Rewrite(rewrite) => {
                write!(f, "rewrite {}\n    into {}", Word(&rewrite.pattern.value), Word(&rewrite.into.value))
            }
            Self::Aggregate(aggregate) => aggregate.fmt(f),
            Self::Statistics(statistics) => statistics.fmt(f),
            Self::SendStatistics(old) => {
                f.write_str("send statistics to")?;
                clusters(&old.to, f)?;
                stop(old.stop, f)
            }
            Self::Listen(listen) => listen.fmt(f),
            Self::Include(path) => write!(f, "include {}", Word(&path.value)),
        }
    }
}

impl Display for Cluster {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "cluster {}\n    ", Word(&self.name.value))?;
        match &self.members {
            Members::Servers { sharing, use_all, hosts } => {
                f.write_str(match sharing {
                    Sharing::Forward => "forward",
                    Sharing::AnyOf => "any_of",
                    Sharing::Failover => "failover",
                    Sharing::Lb => "lb",
                })?;
                f.write_str(if *use_all { " useall" } else { "" })?;
                hosts.iter().try_for_each(|host| write!(f, "\n        {}", host.value))
            }
            Members::Hashed { hash, replication, dynamic, hosts } => {
                f.write_str(match hash {
                    Hash::Carbon => "carbon_ch",
                    Hash::Fnv1a => "fnv1a_ch",
                    Hash::Jump => "jump_fnv1a_ch",
                })?;
                if let Some(replication) = replication {
                    write!(f, " replication {}", replication.value)?;
                }
                f.write_str(if dynamic.is_some() { " dynamic" } else { "" })?;
                hosts.iter().try_for_each(|host| write!(f, "\n        {}", host.value))
            }
            Members::Files { with_sender, paths } => {
                f.write_str(if with_sender.is_some() { "file ip" } else { "file" })?;
                paths.iter().try_for_each(|path| write!(f, "\n        {}", Word(&path.value)))
            }
        }
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", Word(&self.address.to_string()))?;
        if let Some(instance) = &self.instance {
            write!(f, "={}", Word(&instance.value))?;
        }
        if let Some(protocol) = self.protocol {
            write!(f, " proto {}", name_of(protocol.value))?;
        }
        match self.kind.map(|kind| kind.value) {
            Some(Kind::Lines) => f.write_str(" type linemode")?,
            Some(Kind::Syslog) => f.write_str(" type syslog")?,
            None => {}
        }
        let Some(transport) = &self.transport else { return Ok(()) };
        write!(f, " transport {}", codec(transport.value.codec))?;
        match transport.value.tls.as_ref().map(|tls| &tls.value) {
            Some(HostTls::Ssl) => f.write_str(" ssl"),
            Some(HostTls::Mutual { certificate, key }) => {
                write!(f, " mtls {} {}", Word(certificate), Word(key))
            }
            None => Ok(()),
        }
    }
}

impl Display for Match {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("match")?;
        match &self.patterns {
            Patterns::Everything => f.write_str(" *")?,
            Patterns::Any(patterns) => words(patterns, f)?,
        }
        if let Some(validate) = &self.validate {
            let otherwise = match validate.otherwise {
                Otherwise::Log => "log",
                Otherwise::Drop => "drop",
            };
            write!(f, "\n    validate {} else {otherwise}", Word(&validate.pattern.value))?;
        }
        if let Some(key) = &self.route_using {
            write!(f, "\n    route using {}", Word(&key.value))?;
        }
        send_to(self.send_to.as_ref(), f)?;
        stop(self.stop, f)
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("aggregate")?;
        words(&self.patterns, f)?;
        let (every, expire) = (self.every.value, self.expire.value);
        write!(f, "\n    every {every} seconds\n    expire after {expire} seconds")?;
        if let Some(stamp) = self.stamp {
            let stamp = match stamp {
                Stamp::Start => "start",
                Stamp::Middle => "middle",
                Stamp::End => "end",
            };
            write!(f, "\n    timestamp at {stamp} of bucket")?;
        }
        for Compute { function, to } in &self.computes {
            write!(f, "\n    compute {function} write to {}", Word(&to.value))?;
        }
        send_to(self.send_to.as_ref(), f)?;
        stop(self.stop, f)
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Sum => "sum",
            Self::Count => "count",
            Self::Max => "max",
            Self::Min => "min",
            Self::Average => "average",
            Self::Median => "median",
            Self::Variance => "variance",
            Self::Deviation => "stddev",
            Self::Percentile(percent) => return write!(f, "percentile{percent}"),
        })
    }
}

impl Display for Statistics {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("statistics")?;
        if let Some(every) = self.every {
            write!(f, "\n    submit every {} seconds", every.value)?;
        }
        f.write_str(if self.reset { "\n    reset counters after interval" } else { "" })?;
        if let Some(prefix) = &self.prefix {
            write!(f, "\n    prefix with {}", Word(&prefix.value))?;
        }
        send_to(self.send_to.as_ref(), f)?;
        stop(self.stop, f)
    }
}

impl Display for Listen {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("listen type linemode")?;
        if let Some(transport) = &self.transport {
            listen_transport(&transport.value, f)?;
        }
        self.receptors.iter().try_for_each(|receptor| write!(f, "\n    {}", receptor.value))
    }
}

fn listen_transport(transport: &ListenTransport, f: &mut Formatter<'_>) -> Result {
    write!(f, " transport {}", codec(transport.codec))?;
    let Some(At { value: tls, .. }) = &transport.tls else { return Ok(()) };
    write!(f, " {} {}", if tls.mutual { "mtls" } else { "ssl" }, Word(&tls.pem.value))?;
    let clauses = [
        ("protomin", &tls.at_least),
        ("protomax", &tls.at_most),
        ("ciphers", &tls.ciphers),
        ("ciphersuites", &tls.suites),
    ];
    for (keyword, value) in clauses {
        if let Some(value) = value {
            write!(f, " {keyword} {}", Word(&value.value))?;
        }
    }
    Ok(())
}

impl Display for Receptor {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Unix(path) => write!(f, "{} proto unix", Word(path)),
            Self::Internet { ip, port, protocol } => {
                let address = match (ip, port) {
                    (Some(ip), port) => super::Address { host: ip.to_string(), port: *port }.to_string(),
                    (None, port) => port.unwrap_or(super::DEFAULT_PORT).to_string(),
                };
                write!(f, "{address} proto {}", name_of(*protocol))
            }
        }
    }
}

const fn name_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

const fn codec(codec: Codec) -> &'static str {
    match codec {
        Codec::Plain => "plain",
        Codec::Gzip => "gzip",
        Codec::Lz4 => "lz4",
        Codec::Snappy => "snappy",
    }
}

fn words(words: &[At<String>], f: &mut Formatter<'_>) -> Result {
    words.iter().try_for_each(|word| write!(f, " {}", Word(&word.value)))
}

fn send_to(to: Option<&SendTo>, f: &mut Formatter<'_>) -> Result {
    let Some(to) = to else { return Ok(()) };
    f.write_str("\n    send to")?;
    clusters(to, f)
}

fn clusters(to: &SendTo, f: &mut Formatter<'_>) -> Result {
    match to {
        SendTo::Blackhole => f.write_str(" blackhole"),
        SendTo::Clusters(names) => words(names, f),
    }
}

fn stop(stop: bool, f: &mut Formatter<'_>) -> Result {
    f.write_str(if stop { "\n    stop" } else { "" })
}
