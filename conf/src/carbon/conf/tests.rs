//! Texts of `carbon.conf`: types, instances, notes and refusals.

use super::*;

fn relay(text: &str) -> Conf {
    Conf::read(text, Program::Relay, "a").unwrap()
}

#[test]
fn values_are_typed_by_their_defaults() {
    let check = |line: &str, expected: Value| {
        let conf = relay(&format!("[relay]\n{line}\n"));
        let values: Vec<_> = conf.given().map(|(_, given)| given.value.clone()).collect();
        assert_eq!(values, [expected], "{line}");
    };
    let text = |text: &str| Value::Text(text.to_owned());
    check("use_flow_control = OFF", Value::Flag(false));
    check("LINE_RECEIVER_PORT: 2013", Value::Whole(2013));
    check("MAX_QUEUE_SIZE = 1e3", Value::Number(1000.0));
    check("MAX_RECEIVER_CONNECTIONS = inf", Value::Number(f64::INFINITY));
    check("USER = 007", Value::Whole(7));
    check("USER = -5", Value::Whole(-5));
    check("USER = 99999999999999999999", Value::Number(1e20));
    check("USER = -", text("-"));
    check("USER =", text(""));
    check("OTHER = yes", text("yes"));
    check("DESTINATIONS = a:1 ,b:2", Value::List(vec!["a:1".to_owned(), "b:2".to_owned()]));
    check("DESTINATIONS =", Value::List(vec![String::new()]));
}

#[test]
fn an_instance_is_read_over_its_program() {
    let text = "[relay]\nLINE_RECEIVER_PORT = 1\nUSER = x\n[relay:b]\nLINE_RECEIVER_PORT = 2\n[aggregator]\nUSER = y\n";
    let port = |program, instance| {
        Conf::read(text, program, instance).unwrap().number("LINE_RECEIVER_PORT").unwrap()
    };
    assert_eq!(port(Program::Relay, "a"), Some(1.0));
    assert_eq!(port(Program::Relay, "b"), Some(2.0));
    assert_eq!(port(Program::Aggregator, "b"), Some(2003.0));
}

#[test]
fn values_that_are_not_the_default() {
    let text = "[relay]\nMIN_RESET_STAT_FLOW = 1e3\nREPLICATION_FACTOR = 2\nTCP_KEEPALIVE = 1\nNEW = a\n";
    let conf = relay(text);
    let keys: Vec<_> = conf.differing().map(|(key, _)| key).collect();
    assert_eq!(keys, ["NEW", "REPLICATION_FACTOR"]);
}

#[test]
fn files_that_are_refused() {
    let check = |text: &str, line: usize, expected: &str| {
        let fault = Conf::read(text, Program::Relay, "a").unwrap_err();
        assert!(fault.line == line && fault.to_string().contains(expected), "{fault}");
    };
    check("[relay]\nUSE_FLOW_CONTROL = maybe\n", 2, "USE_FLOW_CONTROL is true or false");
    check("[relay]\nANY = 5%\n", 2, "`%%`");
    check("[relay]\n\nANY = %(x)s\n", 3, "names no key");
    // Another program's section is not looked at.
    assert!(Conf::read("[cache]\nANY = 5%\n[relay]\n", Program::Relay, "a").is_ok());
}

#[test]
fn numbers_out_of_range() {
    let conf =
        relay("[relay]\nREPLICATION_FACTOR = 0\nTCP_KEEPIDLE = 1.5\nMETRIC_CLIENT_IDLE_TIMEOUT = None\n");
    let fault = conf.whole("REPLICATION_FACTOR", 1..=9).unwrap_err();
    assert_eq!(fault.to_string(), "line 2: `0`: REPLICATION_FACTOR: a whole number from 1 to 9 is expected");
    assert!(conf.whole("TCP_KEEPIDLE", 1..=9).is_err());
    assert_eq!(conf.number("METRIC_CLIENT_IDLE_TIMEOUT"), Ok(None));
    assert_eq!(conf.whole("TCP_KEEPCNT", 1..=9), Ok(Some(2)));
    assert!(relay("[relay]\nUDP_RECEIVER_PORT = nan\n").number("UDP_RECEIVER_PORT").is_err());
}

#[test]
fn what_does_nothing_is_told() {
    let told = |program: Program, line: &str| {
        let text = format!("[{}]\n{line}\n", program.section());
        let conf = Conf::read(&text, program, "a").unwrap();
        let notes = conf.notes.iter().filter(|note| note.line.is_some());
        notes.map(ToString::to_string).collect::<Vec<_>>().join(" | ")
    };
    let check = |program, line: &str, expected: &str| {
        let notes = told(program, line);
        assert!(notes.contains(expected) && notes.is_empty() == expected.is_empty(), "{line}: {notes}");
    };
    check(
        Program::Relay,
        "DESTINATION = h:1",
        "DESTINATION: there is no such key: it does nothing; did you mean DESTINATIONS?",
    );
    check(Program::Relay, "WOMBATS = 1", "remove it");
    check(Program::Relay, "LOG_DIR = /var/log", "LOG_DIR: does nothing here");
    check(Program::Relay, "MAX_QUEUE_SIZE = 5", "journal.max_bytes");
    check(Program::Relay, "USE_INSECURE_UNPICKLER = True", "is not done");
    check(Program::Relay, "USE_INSECURE_UNPICKLER = False", "");
    check(Program::Relay, "ENABLE_AMQP = on", "is not done");
    check(Program::Relay, "ENABLE_MANHOLE = on", "is not done");
    check(Program::Relay, "USE_FLOW_CONTROL = True", "\"block\"");
    check(Program::Relay, "USE_FLOW_CONTROL = no", "\"shed\"");
    check(Program::Relay, "USE_RATIO_RESET = yes", "stall_seconds");
    check(Program::Relay, "USE_RATIO_RESET = no", "");
    check(Program::Relay, "MIN_RESET_RATIO = 0.5", "stall_seconds");
    check(Program::Relay, "QUEUE_LOW_WATERMARK_PCT = 0.5", "\"block\"");
    check(Program::Relay, "DYNAMIC_ROUTER = True", "go to the others of its ring");
    check(Program::Relay, "DYNAMIC_ROUTER = False", "");
    check(Program::Relay, "TCP_KEEPIDLE = 60", "");
    check(Program::Relay, "FORWARD_ALL = no", "only [aggregator] uses it");
    check(Program::Aggregator, "RELAY_METHOD = rules", "always uses consistent-hashing");
    check(Program::Aggregator, "FORWARD_ALL = no", "");
    check(Program::Relay, "REPLICATION_FACTOR = 2", "");
    check(Program::Cache, "DESTINATIONS = h:1", "only [relay] and [aggregator] uses it");
    let notes = relay("").notes;
    assert!(notes[0].message.contains("does not have this section"), "{notes:?}");
    assert_eq!((notes[1].key.as_str(), notes[1].line), ("USE_FLOW_CONTROL", None));
}
