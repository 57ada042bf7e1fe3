//! Every row, without knowing any of them; and the ways to write several options at once.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::{
    config::{AggregateConfig, LinkWatch, Mode, Partner, PortConfig},
    hold_down::{FlapRule, HoldDown},
    settings::Settings,
    watches::{WatchConfig, WatchKind},
};

/// A value that no option takes.
const JUNK: &str = "§junk";

/// What `set` makes of a default configuration.
fn after(texts: &[&str]) -> Result<AggregateConfig, Invalid> {
    let mut said = GivenOptions::default();
    texts.iter().try_for_each(|text| said.change(text))?;
    let mut config = AggregateConfig::default();
    apply(&mut config, &said.options)?;
    Ok(config)
}

fn complaint(text: &str) -> String {
    after(&[text]).expect_err(text).to_string()
}

/// The samples of a row bring the configuration to a value that is read back from its own text.
fn expect_round_trips<C: HasOptions + PartialEq + std::fmt::Debug>() {
    for row in C::rows().filter(|row| row.is_built()) {
        let default = C::default();
        if row.live != Live::After {
            let mut same = default.clone();
            row.kind.set(&mut same, &row.kind.text(&default)).unwrap_or_else(|error| panic!("{}: {error}", row.name));
            assert_eq!(same, default, "the default of {} is a value of it", row.name);
        }
        for sample in row.kind.samples() {
            let mut config = default.clone();
            row.kind.set(&mut config, &sample).unwrap_or_else(|error| panic!("{}={sample}: {error}", row.name));
            let mut again = default.clone();
            row.kind.set(&mut again, &row.kind.text(&config)).unwrap();
            assert_eq!(config, again, "{}={sample}", row.name);
        }
    }
}

#[test]
fn what_an_option_writes_it_reads() {
    expect_round_trips::<AggregateConfig>();
    expect_round_trips::<PortConfig>();
    expect_round_trips::<LiveRequests>();
}

/// Each option is found by all its names, in either spelling, and no name is two options'.
fn expect_unique_names<C: HasOptions>(mut names: BTreeSet<String>) -> BTreeSet<String> {
    for row in C::rows() {
        for name in row.names() {
            assert!(find::<C>(&name.replace('-', "_")).is_some_and(|found| found.name == row.name), "{name}");
            assert!(names.insert(name.replace('_', "-")), "{name} is taken");
        }
    }
    names
}

#[test]
fn names_are_unique() {
    let groups = GROUPS.iter().map(|group| group.name.to_owned()).collect();
    expect_unique_names::<LiveRequests>(expect_unique_names::<AggregateConfig>(groups));
    let ports = expect_unique_names::<PortConfig>(BTreeSet::new());
    for row in PortConfig::rows().filter(|row| row.kind.bare().is_some()) {
        assert!(!ports.contains(&format!("no{}", row.name)), "{}", row.name);
    }
}

/// Whatever the option: an empty value, junk, what is far out of range, a wrong unit, the same again.
fn expect_refusals<C: HasOptions>(say: fn(&str, &str) -> Result<(), Invalid>, twice: fn(&str, &str) -> String) {
    for row in C::rows().filter(|row| row.is_built() && row.live != Live::No) {
        let name = row.name;
        let sample = row.kind.samples().pop().unwrap();
        say(name, &sample).unwrap_or_else(|error| panic!("{name}={sample}: {error}"));
        let is_number = row.kind.json_type() == "number";
        let known = if is_number { row.kind.range() } else { String::new() };
        let mut wrong = vec![String::new(), "x".repeat(100_000)];
        wrong.extend((row.kind.json_type() != "string or null").then(|| JUNK.to_owned()));
        if is_number {
            wrong.extend(
                ["-99999999999", "99999999999", "99999999999999999999", "1.5", "1kg", "0x10", "--1"].map(String::from),
            );
        }
        for value in wrong {
            let complaint = say(name, &value).expect_err(name).to_string();
            assert!(complaint.contains(name) && complaint.len() < 1_000, "{name}: {complaint}");
            assert!(complaint.contains(&known) || complaint.contains("unit"), "{complaint} does not say {known}");
        }
        for earlier in row.names() {
            assert!(twice(earlier, &sample).contains("given twice"), "{name} and {earlier}");
        }
    }
}

#[test]
fn every_option_refuses_what_is_wrong() {
    let set = |key: &str, value: &str| GivenOptions::default().change(&format!("{key}={value}"));
    let twice = |key: &str, value: &str| {
        let mut said = GivenOptions::default();
        said.change(&format!("{key}={value}")).unwrap();
        let own = find::<AggregateConfig>(key).map(|row| row.name).or(find::<LiveRequests>(key).map(|row| row.name));
        said.change(&format!("{}={value}", own.unwrap())).unwrap_err().to_string()
    };
    expect_refusals::<AggregateConfig>(set, twice);
    expect_refusals::<LiveRequests>(set, twice);
    expect_refusals::<PortConfig>(
        |key, value| GivenPort::read(&format!("eth0,{key}={value}")).map(|_| ()),
        |key, value| {
            let own = find::<PortConfig>(key).unwrap().name;
            GivenPort::read(&format!("eth0,{key}={value},{own}={value}")).unwrap_err().to_string()
        },
    );
}

#[test]
fn options_that_are_not_live_are_refused_by_set_and_taken_by_attach() {
    for row in AggregateConfig::rows().filter(|row| row.live == Live::No && row.is_built()) {
        let value = row.kind.samples().remove(0);
        assert!(complaint(&format!("{}={value}", row.name)).contains("while the aggregate runs"), "{}", row.name);
        assert_eq!(GivenOptions::default().option(row.name, &value), Ok(()));
    }
}

#[test]
fn what_is_planned_is_said_to_be() {
    for row in AggregateConfig::rows().filter(|row| !row.is_built()) {
        assert!(complaint(&format!("{}=1", row.name)).contains("not built yet"), "{}", row.name);
    }
    for row in AggregateConfig::rows() {
        for (names, _) in row.kind.synonyms().iter().filter(|(_, built)| !built) {
            for name in *names {
                let complaint = GivenOptions::default().option(row.name, name).unwrap_err().to_string();
                assert!(complaint.contains("not built yet"), "{complaint}");
            }
        }
    }
    assert!(GivenPort::read("eth0,queue-id=2").unwrap_err().to_string().contains("not built yet"));
}

#[test]
fn an_unknown_word_or_name_is_answered_with_what_is_known() {
    for part in ["'bogus'", "active-backup, hash, round-robin, random, lacp", "broadcast, tlb, alb"] {
        assert!(complaint("mode=bogus").contains(part), "{part}");
    }
    for part in ["'bogus'", "stride", "poll"] {
        assert!(complaint("bogus=1").contains(part), "{part}");
    }
    assert!(GivenPort::read("eth0,bogus=1").unwrap_err().to_string().contains("priority, sticky, weight"));
}

#[test]
fn a_group_is_its_options() {
    let watch = |up_delay_ms, down_delay_ms, poll_ms| LinkWatch { up_delay_ms, down_delay_ms, poll_ms };
    for (text, expected) in [
        ("watch=link", watch(0, 0, 10)),
        ("watch=link,up-delay=5,down-delay=6,poll=7", watch(5, 6, 7)),
        ("watch=ethtool,delay_up=5,downdelay=6,miimon=7", watch(5, 6, 7)),
        ("watch=miimon", watch(0, 0, 10)),
        ("watch=miimon=100", watch(0, 0, 100)),
        ("watch=miimon=100,up-delay=2s", watch(2_000, 0, 100)),
        ("miimon=100", watch(0, 0, 100)),
        ("poll=1min", watch(0, 0, 60_000)),
    ] {
        assert_eq!(after(&[text]).map(|config| config.link_watch), Ok(expected), "{text}");
    }
    for (text, expected) in [("announce=count=7,interval=1s", (7, 1_000)), ("announce=7", (7, 100))] {
        let config = after(&[text]).unwrap();
        assert_eq!((config.announce.count, config.announce.interval_ms), expected, "{text}");
    }
}

#[test]
fn a_group_that_is_wrong_is_refused() {
    for (text, part) in [
        ("watch=", "link[,up-delay=MS]"),
        ("watch=lunk", "none of link, arp, ns, traffic, errors"),
        ("watch=arp", "arp,target=IP"),
        ("watch=arp=192.0.2.1,interval=9", "10 to 300000 ms"),
        ("watch=arp=fe80::1", "its own family"),
        ("watch=ns=ff02::1", "its own family"),
        ("watch=arp=192.0.2.1,192.0.2.1", "given twice"),
        ("watch=arp=192.0.2.1,need=any,arp_all_targets=all", "need is given twice"),
        ("watch=arp=192.0.2.1,idle=5s", "target=…, need=…, interval=…"),
        ("watch=arp=192.0.2.1,source=fe80::1", "no source"),
        ("watch=arp=192.0.2.1,vlan=4095", "no VLAN"),
        ("watch=traffic=5", "takes no value"),
        ("watches=link,poll=5+arp=192.0.2.1", "options of the aggregate"),
        ("watch=link=5", "takes no value"),
        ("watch=link,", "up-delay=…, down-delay=…, poll=…"),
        ("watch=link,poll", "poll=…"),
        ("watch=link,poll=0", "poll=0: '0' is out of range (1 to 60000 ms)"),
        ("watch=miimon=", "1 to 60000 ms"),
        ("watch=link,poll=5,miimon=5", "poll is given twice"),
        ("announce=often", "0 to 255"),
        ("announce=count=256", "0 to 255"),
        ("announce=count=1,count=1", "given twice"),
        ("announce=count=1,stride=1", "count=…, interval=…"),
        ("poll=2kg", "ms, s, min"),
        ("stride=2s", "0 to 65535"),
        ("buckets=300", "a power of two from 256 to 65536"),
        ("wiring", "KEY=VALUE"),
    ] {
        assert!(complaint(text).contains(part), "{}", complaint(text));
    }
    let twice = after(&["watch=link,poll=5", "poll=5"]).unwrap_err().to_string();
    assert!(twice.contains("poll is given twice"), "{twice}");
}

#[test]
fn a_port_has_a_name_and_settings() {
    let port = |text| GivenPort::read(text).and_then(|words| words.config());
    let expected = PortConfig { priority: -3, sticky: true, ..PortConfig::new("eth0") };
    assert_eq!(port("eth0,prio=-3,sticky"), Ok(expected.clone()));
    assert_eq!(port("eth0,priority=-3,sticky=on"), Ok(expected));
    assert_eq!(port("eth0,nosticky"), Ok(PortConfig::new("eth0")));
    for (text, part) in [
        ("", "name"),
        (",sticky", "name"),
        ("eth0,", "setting of a port"),
        ("eth0,noweight", "setting of a port"),
        ("eth0,nosticky=on", "setting of a port"),
        ("eth0,weight", "1 to 255"),
        ("eth0,sticky,nosticky", "sticky is given twice"),
    ] {
        let complaint = port(text).expect_err(text).to_string();
        assert!(complaint.contains(part), "{text}: {complaint}");
    }
}

#[test]
fn a_value_that_nobody_can_type_is_found() {
    let mut config = AggregateConfig::default();
    assert_eq!(check(&config), Ok(()));
    config.link_watch.poll_ms = u32::MAX;
    assert!(check(&config).unwrap_err().to_string().contains("poll=4294967295"));
    assert!(check(&PortConfig { weight: 0, ..PortConfig::new("eth0") }).is_err());
}

#[test]
fn programs_are_exchanged_for_the_options_that_say_so() {
    for row in AggregateConfig::rows().filter(|row| row.is_built() && row.live != Live::No) {
        let others = [Mode::ActiveBackup, Mode::Hash, Mode::RoundRobin, Mode::Random].map(|mode| {
            let start = AggregateConfig { mode, partner: Some(Partner::Lag), ..AggregateConfig::default() };
            row.kind.samples().iter().any(|sample| {
                let mut config = start.clone();
                row.kind.set(&mut config, sample).unwrap();
                Settings::of(&config) != Settings::of(&start)
            })
        });
        assert_eq!(others.contains(&true), row.live == Live::Programs, "{}", row.name);
    }
}

#[test]
fn json_has_each_option_in_its_place() {
    let object = json(&AggregateConfig { primary: Some("eth0".into()), ..AggregateConfig::default() });
    assert_eq!(object["link_watch"], json!({"up_delay_ms": 0, "down_delay_ms": 0, "poll_ms": 10}));
    assert_eq!((&object["mode"], &object["primary"]), (&json!("active-backup"), &json!("eth0")));
    for row in AggregateConfig::rows().filter(|row| !row.json.is_empty()) {
        let place = format!("/{}", row.json.replace('.', "/"));
        let value = serde_json::Value::from(object.clone()).pointer(&place).cloned().unwrap();
        let kinds = [("number", value.is_number()), ("string", value.is_string()), ("boolean", value.is_boolean())];
        let kinds: Vec<_> = kinds.iter().filter(|(_, is)| *is).map(|(kind, _)| *kind).collect();
        assert!(kinds.iter().any(|kind| row.kind.json_type().starts_with(kind)), "{}: {value}", row.name);
    }
}

#[test]
fn several_watches_are_one_list() {
    let text = |texts: &[&str]| after(texts).map(|config| config.watches.to_string());
    for (texts, expected) in [
        (&[] as &[&str], "link"),
        (&["watch=link,poll=5"], "link"),
        (&["watch=arp=192.0.2.1"], "arp,target=192.0.2.1"),
        (
            &["watch=link", "watch=arp_ping,arp_ip_target=192.0.2.1,192.0.2.2"],
            "link+arp,target=192.0.2.1,target=192.0.2.2",
        ),
        (&["watch=arp=192.0.2.1,arp_interval=1s", "watch=miimon=100"], "arp,target=192.0.2.1,interval=1000+link"),
        (&["watches=ns/target=fe80::1/missed_max=5+traffic"], "ns,target=fe80::1,missed-max=5+traffic"),
        (&["watch=arp=192.0.2.1,validate=backup,interval=200"], "arp,target=192.0.2.1,validate=standby"),
    ] {
        assert_eq!(text(texts), Ok(expected.to_owned()), "{texts:?}");
    }
    let twice = text(&["watch=traffic", "watch=traffic,idle=3s"]).unwrap_err().to_string();
    assert!(twice.contains("given twice"), "{twice}");
    let targets: Vec<_> = (1..=17).map(|last| format!("192.0.2.{last}")).collect();
    assert!(text(&[&format!("watch=arp,{}", targets[..16].join(","))]).is_ok());
    let many = text(&[&format!("watch=arp,{}", targets.join(","))]).unwrap_err().to_string();
    assert!(many.contains("16 already"), "{many}");
}

#[test]
fn a_port_may_have_watches_of_its_own() {
    let port = |text| GivenPort::read(text).and_then(|words| words.config()).map(|port| port.watches);
    let own = port("eth0,watch=link+arp/target=192.0.2.1/interval=1s,sticky").unwrap().unwrap();
    assert_eq!(own.to_string(), "link+arp,target=192.0.2.1,interval=1000");
    assert_eq!(port("eth0,watch=default"), Ok(None));
    let config = AggregateConfig { watches: own.clone(), ..AggregateConfig::default() };
    assert_eq!(config.watches_of(&PortConfig::new("eth0")), &own);
    let other = PortConfig { watches: Some("traffic".parse().unwrap()), ..PortConfig::new("eth1") };
    assert_eq!(config.watches_of(&other).to_string(), "traffic");
}

/// Settings within an option: each has a name, a place in JSON, a page, and values that are read back.
fn expect_settings<C: HasOptions + PartialEq + std::fmt::Debug>() {
    expect_unique_names::<C>(BTreeSet::new());
    let places: BTreeSet<_> = C::rows().map(|row| row.json).collect();
    assert!(places.len() == C::rows().count() && !places.contains(""), "{places:?}");
    for row in C::rows() {
        assert!(!row.page.is_empty() && !row.help.is_empty(), "{}", row.name);
        for sample in row.kind.samples() {
            let mut config = C::default();
            row.kind.set(&mut config, &sample).unwrap();
            let mut again = C::default();
            row.kind.texts(&config).iter().for_each(|text| row.kind.set(&mut again, text).unwrap());
            assert_eq!(config, again, "{}={sample}", row.name);
        }
    }
}

#[test]
fn settings_within_options_are_rows_like_the_options() {
    expect_settings::<WatchConfig>();
    expect_settings::<FlapRule>();
    for row in WatchConfig::rows() {
        let kinds = WatchKind::ALL.iter();
        assert!(kinds.clone().any(|(kind, _)| kind.settings().contains(&row.name)), "{} belongs to a kind", row.name);
    }
}

#[test]
fn json_has_settings_within_options_each_by_itself() {
    let said = ["hold-down=changes=3,window=1min,for=60", "watches=link+arp=192.0.2.1,interval=1s,vlan=7"];
    let object = json(&after(&said).unwrap());
    assert_eq!(object["hold_down"], "changes=3,window=60,for=60");
    assert_eq!(object["hold_down_settings"], json!({"changes": 3, "window_s": 60, "for_s": 60}));
    assert_eq!(object["watches_settings"][0], json!({"watch": "link"}));
    let arp = json!({
        "watch": "arp", "targets": ["192.0.2.1"], "need": "any", "interval_ms": 1_000, "missed_max": 3,
        "init_wait_ms": 0, "source": null, "vlan": 7, "validate": "all",
    });
    assert_eq!(object["watches_settings"][1], arp);
    let object = json(&AggregateConfig::default());
    assert_eq!(object["hold_down_settings"], json!(null));
    let port = json(&PortConfig { watches: Some("traffic,idle=5s".parse().unwrap()), ..PortConfig::new("eth0") });
    assert_eq!(port["watch_settings"], json!([{"watch": "traffic", "idle_ms": 5_000}]));
    assert_eq!(json(&PortConfig::new("eth0"))["watch_settings"], json!(null));
}

#[test]
fn flap_damping_is_off_or_all_of_its_rule() {
    for (text, part) in [
        ("hold-down=", "off|changes=N,window=S,for=S"),
        ("hold-down=on", "none of off, changes=N,window=S,for=S"),
        ("hold-down=changes=3,window=10", "for of changes=N,window=S,for=S"),
        ("hold-down=changes=1,window=10,for=60", "changes=1: '1' is out of range (2 to 255)"),
        ("hold-down=changes=3,window=2h,for=60", "unknown unit (s, min)"),
        ("hold-down=changes=3,window=3601,for=60", "1 to 3600 s"),
        ("hold-down=changes=3,changes=3,window=10,for=60", "changes is given twice"),
        ("hold-down=changes=3,window=10,for=60,bogus=1", "'bogus' is none of off"),
    ] {
        assert!(complaint(text).contains(part), "{}", complaint(text));
    }
    let config = after(&["hold_down=window=1min,for=2min,changes=3"]).unwrap();
    assert_eq!(config.hold_down, HoldDown::By(FlapRule { changes: 3, window_s: 60, for_s: 120 }));
}
