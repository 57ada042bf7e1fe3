//! Files and aggregates.

use proptest::prelude::*;

use super::*;
use crate::{
    config::{AggregateConfig, PortConfig},
    options::HasOptions,
};

/// A file with comments, and each way to write something.
const WHOLE: &str = r#"# The server's own.
mode = "hash" # as the switch
poll = "5ms"
min_links = 2
watch = ["link,up-delay=100", "arp,target=192.0.2.1"]

[ports.eth0]
priority = 5
sticky = true

[ports."eth1.2"]

[ports]
eth2 = { sticky = false }
"#;

fn read(text: &str) -> AggregateConfig {
    ConfigFile::read(text).unwrap().config("agg0").unwrap()
}

fn mistake(text: &str) -> String {
    ConfigFile::read(text).unwrap_err().to_string()
}

/// Every option with every value that is worth a try.
fn samples<C: HasOptions>() -> Vec<(&'static str, String)> {
    let rows = C::rows().filter(|row| row.is_built());
    rows.flat_map(|row| row.kind.samples().into_iter().map(|sample| (row.name, sample))).collect()
}

#[test]
fn a_file_says_what_the_command_line_says() {
    let mut expected = AggregateConfig::new("agg0", vec![]);
    let mut said = crate::options::GivenOptions::default();
    for (key, value) in [
        ("mode", "hash"),
        ("poll", "5ms"),
        ("min-ports", "2"),
        ("watch", "link,up-delay=100"),
        ("watch", "arp=192.0.2.1"),
    ] {
        said.option(key, value).unwrap();
    }
    crate::options::apply(&mut expected, &said.options).unwrap();
    for port in ["eth0,priority=5,sticky", "eth1.2", "eth2,nosticky"] {
        expected.ports.push(crate::options::GivenPort::read(port).unwrap().config().unwrap());
    }
    assert_eq!(read(&whole()), expected);
    assert_eq!(read("ports = ['eth0', 'eth1']").ports, [PortConfig::new("eth0"), PortConfig::new("eth1")]);
    assert_eq!(read(""), AggregateConfig::new("agg0", vec![]));
}

#[test]
fn a_mistake_is_named_with_its_place() {
    for (text, expected) in [
        ("mode = hash", "line 1, column 8: "),
        ("# ä\nmode = \"hash\"\nmode = \"hash\"", "line 3, column 1: "),
        ("poll = 5\n  mood = 1", "line 2, column 3: 'mood' is no option (mode, "),
        ("mode = \"hash\"\nbalance-mode = 1.5", "line 2, column 1: 'balance-mode' is no option"),
        ("poll = 1.5", "line 1, column 8: float is no value of an option: "),
        ("mode = [\"hash\", [1]]", "line 1, column 17: array is no value"),
        ("watch = []", "line 1, column 9: watch has no value"),
        ("watch = [\"link\",\n\"arc\"]", "line 2, column 1: watches=arc: "),
        ("mode = 'xy'", "line 1, column 8: mode=xy: 'xy' is none of "),
        ("miimon = 1\npoll = 2", "line 2, column 8: poll=2: poll is given twice"),
        ("[ports.eth0]\npriority = 'x'", "line 2, column 12: priority=x: "),
        ("[ports.eth0]\nprior = 1", "line 2, column 1: 'prior' is no setting"),
        ("[ports]\neth0 = 1", "line 2, column 8: eth0 needs a table"),
        ("ports = 'eth0'", "line 1, column 9: ports are tables"),
        ("ports = ['eth0', 'eth0,sticky']", "line 1, column 18: eth0 is a port already"),
        ("ports = ['a/b']", "line 1, column 10: "),
        ("[ports.-x]", "line 1, column 8: "),
        ("[[ports]]\nname = 'eth0'", "line 1, column "),
    ] {
        let said = mistake(text);
        assert!(said.starts_with(expected), "{text}: {said}");
        assert!(!said.contains('\n'), "{said}");
    }
}

#[test]
fn each_value_can_be_written_and_read_again() {
    for (key, value) in samples::<AggregateConfig>() {
        let mut config = AggregateConfig::new("agg0", vec![PortConfig::new("eth0"), PortConfig::new("eth1.7")]);
        crate::options::find::<AggregateConfig>(key).unwrap().kind.set(&mut config, &value).unwrap();
        assert_eq!(read(&text(&config)), config, "{key}={value}: {}", text(&config));
    }
    for (key, value) in samples::<PortConfig>() {
        let mut port = PortConfig::new("eth0");
        crate::options::find::<PortConfig>(key).unwrap().kind.set(&mut port, &value).unwrap();
        let config = AggregateConfig::new("agg0", vec![port]);
        assert_eq!(read(&text(&config)), config, "{key}={value}: {}", text(&config));
    }
}

/// [`WHOLE`] with its last ports as others write them.
fn whole() -> String {
    WHOLE.replace("[ports]\neth2 = { sticky = false }", "[ports.eth2]\nsticky = false")
}

#[test]
fn what_changes_is_changed_and_all_else_stays() {
    let former = "# The server's own.\nmode = \"hash\" # as the switch\nwatch = \"link,poll=7ms\"\n\n# Ports.\n\
                  [ports.eth0]\npriority = 5 # the better one\n\n[ports.eth1]\n# the other\n";
    let mut config = read(former);
    assert_eq!(edit(former, &config).unwrap(), former);
    for (key, value) in [("mode", "round-robin"), ("poll", "9ms"), ("min-ports", "2")] {
        crate::options::find::<AggregateConfig>(key).unwrap().kind.set(&mut config, value).unwrap();
    }
    config.ports[0].priority = 6;
    config.ports[1].sticky = true;
    config.ports.push(PortConfig::new("eth2"));
    let edited = edit(former, &config).unwrap();
    assert_eq!(
        edited,
        "# The server's own.\nmode = \"round-robin\" # as the switch\nmin-ports = 2\npoll = 9\n\n# Ports.\n\
         [ports.eth0]\npriority = 6 # the better one\n\n[ports.eth1]\nsticky = true\n# the other\n\n[ports.eth2]\n"
    );
    config.ports.remove(0);
    let without = edit(&edited, &config).unwrap();
    assert!(without.contains("# The server's own.") && !without.contains("eth0"), "{without}");
    assert_eq!(edit("", &config).unwrap(), text(&config));
    assert!(edit("mode = 1 1", &config).is_err());
}

#[test]
fn ports_in_an_array_stay_in_one() {
    let mut config = read("ports = ['eth0', 'eth1'] # both");
    config.ports[1].priority = 3;
    assert_eq!(
        edit("ports = ['eth0', 'eth1'] # both", &config).unwrap(),
        "ports = [\"eth0\", \"eth1,priority=3\"] # both"
    );
}

#[test]
fn whatever_runs_can_be_written_over_whatever_was_there() {
    let config = |key: &str, value: &str| {
        let mut config = AggregateConfig::new("agg0", vec![PortConfig::new("eth0"), PortConfig::new("eth9")]);
        crate::options::find::<AggregateConfig>(key).unwrap().kind.set(&mut config, value).unwrap();
        config
    };
    for (key, value) in samples::<AggregateConfig>() {
        let config = config(key, &value);
        for former in [whole(), "ports = ['eth0,priority=7']\nwatch = 'link,up-delay=1s'".to_owned(), text(&config)] {
            let edited = edit(&former, &config).unwrap();
            assert_eq!(crate::options::differences(&read(&edited), &config), [], "{key}={value}: {edited}");
            assert_eq!(edited.contains("# The server's own."), former.contains("# The server's own."), "{edited}");
        }
    }
}

proptest! {
    /// One character is another, or missing, or one too many: it is another file, or a mistake with a place in it.
    #[test]
    fn a_file_with_a_mistake_is_never_worse_than_refused(
        at in 0..WHOLE.len(), new in prop::option::of(any::<char>()), keeps in any::<bool>(),
    ) {
        let end = at + usize::from(!keeps);
        let text = format!("{}{}{}", &WHOLE[..at], new.map_or_else(String::new, String::from), &WHOLE[end..]);
        if let Err(mistake) = ConfigFile::read(&text) {
            let line = text.split('\n').nth(mistake.line - 1);
            prop_assert!(line.is_some_and(|line| mistake.column <= line.chars().count() + 1), "{mistake} in {text}");
        }
    }
}
