//! Listeners, sending and own metrics of `carbon.conf`.

use super::super::Fault;
use super::super::conf::Conf;
use super::super::keys::Program;
use crate::model::keepalive::Keepalive;
use crate::model::relay::WhenBehind;
use crate::routing::{Protocol, Tls};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where points come in. `None`: that listener is off.
#[derive(Debug, Clone, PartialEq)]
pub struct Listening {
    /// Lines over TCP.
    pub line_tcp: Option<SocketAddr>,
    /// Lines over UDP.
    pub line_udp: Option<SocketAddr>,
    /// Pickles over TCP.
    pub pickle_tcp: Option<SocketAddr>,
    /// carbon's protobuf over TCP.
    pub protobuf_tcp: Option<SocketAddr>,
    /// Longest pickle frame, bytes.
    pub max_frame_bytes: u32,
    /// Connections at once; `None`: as many as there are.
    pub max_connections: Option<u32>,
    /// A connection that has sent nothing for so many seconds is closed; `None`: never.
    pub idle_seconds: Option<f64>,
    /// Timestamps are rounded down to a multiple of this, seconds; 0: they are left as they are.
    pub timestamp_resolution_seconds: u32,
    /// Keep-alive of TCP connections, towards clients and destinations alike.
    pub keepalive: Keepalive,
}

/// How points are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// What is sent; each server of the routing has it too.
    pub protocol: Protocol,
    /// TLS towards every destination; each server of the routing has it too.
    pub tls: Option<Tls>,
    /// Most points in a frame.
    pub points_per_frame: u32,
    /// What happens while a destination is behind.
    pub when_behind: WhenBehind,
    /// How far behind that is, points.
    pub mark_points: u64,
    /// Share of the mark below which a destination is behind no longer.
    pub low_share: f64,
    /// A destination that is down for so many seconds has its part of the names go to others until it is back
    /// (`DYNAMIC_ROUTER`); `None`: its points wait for it.
    pub detour_seconds: Option<f64>,
}

/// The program's own metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnMetrics {
    /// Whose they are: each program has some of its own.
    pub program: Program,
    /// What their names begin with: `carbon.relays`. Then comes `.<host>-<instance>.`, the host's dots as `_`.
    pub prefix: String,
    /// The instance's name.
    pub instance: String,
    /// Seconds from one to the next; `None`: there are none.
    pub every_seconds: Option<f64>,
}

pub(super) fn listening(conf: &Conf) -> Result<Listening, Fault> {
    let whole = |key: &str, range| Ok::<_, Fault>(conf.whole(key, range)?.unwrap_or_default());
    let udp = conf.flag("ENABLE_UDP_LISTENER");
    let probed = conf.flag("TCP_KEEPALIVE");
    let most = conf.number("MAX_RECEIVER_CONNECTIONS")?.filter(|most| most.is_finite());
    let max_connections = match most {
        Some(_) => conf.whole("MAX_RECEIVER_CONNECTIONS", 1..=u32::MAX)?,
        None => None,
    };
    let idle_seconds = conf.number("METRIC_CLIENT_IDLE_TIMEOUT")?;
    Ok(Listening {
        line_tcp: address(conf, "LINE_RECEIVER")?,
        line_udp: if udp { address(conf, "UDP_RECEIVER")? } else { None },
        pickle_tcp: address(conf, "PICKLE_RECEIVER")?,
        protobuf_tcp: address(conf, "PROTOBUF_RECEIVER")?,
        max_frame_bytes: whole("PICKLE_RECEIVER_MAX_LENGTH", 1..=1 << 30)?,
        max_connections,
        idle_seconds: idle_seconds.filter(|seconds| *seconds > 0.0 && seconds.is_finite()),
        timestamp_resolution_seconds: whole("MIN_TIMESTAMP_RESOLUTION", 0..=u32::MAX)?,
        keepalive: Keepalive {
            idle_seconds: if probed { whole("TCP_KEEPIDLE", 1..=32_767)? } else { 0 },
            interval_seconds: whole("TCP_KEEPINTVL", 1..=32_767)?,
            probes: whole("TCP_KEEPCNT", 1..=127)?,
        },
    })
}

/// The address of a listener; port 0 or none switches it off.
fn address(conf: &Conf, listener: &str) -> Result<Option<SocketAddr>, Fault> {
    let port = conf.whole(&format!("{listener}_PORT"), 0..=65_535)?.unwrap_or_default();
    let key = format!("{listener}_INTERFACE");
    let interface = conf.text(&key);
    let ip = match interface.trim_start_matches('[').trim_end_matches(']') {
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        text => text.parse().map_err(|_| conf.fault(&key, "an IP address of this machine is expected"))?,
    };
    Ok(u16::try_from(port).ok().filter(|port| *port > 0).map(|port| SocketAddr::new(ip, port)))
}

pub(super) fn sending(conf: &Conf) -> Result<Sending, Fault> {
    let protocol = match conf.text("DESTINATION_PROTOCOL").as_str() {
        "pickle" => Protocol::Pickle,
        "line" => Protocol::Plaintext,
        "protobuf" => Protocol::Protobuf,
        _ => {
            return Err(
                conf.fault("DESTINATION_PROTOCOL", "there are pickle, line and protobuf: write one of these")
            );
        }
    };
    let ca = conf.text("DESTINATION_SSL_CA");
    let ca = Some(ca).filter(|ca| !ca.is_empty() && !ca.eq_ignore_ascii_case("none")).map(PathBuf::from);
    let tls = match conf.text("DESTINATION_TRANSPORT").as_str() {
        "ssl" => Some(Tls { ca, identity: None }),
        "none" | "" => None,
        _ => return Err(conf.fault("DESTINATION_TRANSPORT", "there are none and ssl: write one of these")),
    };
    let number = |key: &str| Ok::<_, Fault>(conf.number(key)?.unwrap_or_default());
    let mark = number("MAX_QUEUE_SIZE")?;
    if mark < 1.0 {
        return Err(conf.fault("MAX_QUEUE_SIZE", "a number from 1 on is expected"));
    }
    let low_share = number("QUEUE_LOW_WATERMARK_PCT")?;
    if !(0.0..=1.0).contains(&low_share) {
        return Err(conf.fault("QUEUE_LOW_WATERMARK_PCT", "a share from 0 to 1 is expected"));
    }
    let retries = conf.whole("DYNAMIC_ROUTER_MAX_RETRIES", 0..=1_000_000)?.unwrap_or_default();
    let detour_seconds = conf.flag("DYNAMIC_ROUTER").then(|| time_of(retries).max(1.0));
    Ok(Sending {
        protocol,
        tls,
        points_per_frame: conf.whole("MAX_DATAPOINTS_PER_MESSAGE", 1..=1_000_000)?.unwrap_or(500),
        when_behind: if conf.flag("USE_FLOW_CONTROL") { WhenBehind::Spool } else { WhenBehind::Shed },
        mark_points: mark as u64,
        low_share,
        detour_seconds,
    })
}

/// How long carbon takes for so many attempts in a row that fail: its pauses begin with a second and grow by e,
/// up to five seconds.
fn time_of(retries: u32) -> f64 {
    const LONGEST: f64 = 5.0;
    let pauses = f64::from(retries.saturating_sub(1));
    let short = [1.0, std::f64::consts::E];
    let first: f64 = short.iter().take(pauses as usize).sum();
    first + (pauses - short.len() as f64).max(0.0) * LONGEST
}

impl OwnMetrics {
    /// Those of a program whose `carbon.conf` says nothing of them.
    #[must_use]
    pub fn usual(program: Program, instance: &str) -> Self {
        Self::of(program, instance, "carbon", Some(60.0))
    }

    fn of(program: Program, instance: &str, prefix: &str, every_seconds: Option<f64>) -> Self {
        let kind = match program {
            Program::Relay => "relays",
            Program::Aggregator => "aggregator",
            Program::Cache => "agents",
        };
        Self { program, prefix: format!("{prefix}.{kind}"), instance: instance.to_owned(), every_seconds }
    }
}

pub(super) fn own_metrics(conf: &Conf, program: Program, instance: &str) -> Result<OwnMetrics, Fault> {
    let every =
        conf.number("CARBON_METRIC_INTERVAL")?.filter(|seconds| *seconds > 0.0 && seconds.is_finite());
    Ok(OwnMetrics::of(program, instance, &conf.text("CARBON_METRIC_PREFIX"), every))
}
