//! `doctor`.

use std::thread;

use aggctl_engine::doctor::{self, Facts, Finding};
use aggctl_kernel::{
    netlink::Netlink,
    netns, snapshot,
    state::Store,
    vitals::{self, PortQuestions},
};
use serde::Serialize;

use super::prepare;
use crate::{diagnosis::Examination, failure::Failure, operation, output::print};

/// Version of the JSON. It changes when a field changes its meaning or goes; new fields may come without.
const SCHEMA: u32 = 1;

/// What was found, for programs.
#[derive(Debug, Serialize)]
struct Report {
    /// [`SCHEMA`].
    schema: u32,
    /// The release of the kernel.
    kernel: String,
    /// The aggregates that were looked at.
    aggregates: Vec<String>,
    /// What was found.
    findings: Vec<Finding>,
}

/// Looks at one aggregate, or all of this namespace, and the kernel.
///
/// # Errors
/// [`Failure::Found`] if errors or warnings were found, [`Failure::Unseen`] if it cannot look.
pub fn run(name: Option<&str>, json: bool) -> Result<(), Failure> {
    let facts = collect(name).map_err(|failure| match failure {
        Failure::Refused(why) => Failure::Unseen(why),
        other => other,
    })?;
    let findings = doctor::examine(&facts);
    let serious = doctor::is_serious(&findings);
    let report = Report {
        schema: SCHEMA,
        kernel: facts.kernel.release,
        aggregates: facts.aggregates.into_iter().map(|aggregate| aggregate.name).collect(),
        findings,
    };
    let text =
        if json { serde_json::to_string_pretty(&report).map_err(std::io::Error::from)? } else { report.render() };
    print(&text)?;
    if serious { Err(Failure::Found) } else { Ok(()) }
}

/// Takes the picture, which takes a while.
fn collect(name: Option<&str>) -> Result<Facts, Failure> {
    prepare()?;
    let mut netlink = Netlink::open()?;
    let stores = match name {
        Some(name) => vec![operation::store(name)?],
        None => {
            let cookie = netns::cookie()?;
            Store::names(cookie)?.into_iter().map(|name| Store::new(cookie, name)).collect()
        }
    };
    let mut begun = Vec::new();
    for store in stores {
        begun.extend(Examination::begin(store, &mut netlink)?);
    }
    if let (Some(name), true) = (name, begun.is_empty()) {
        return Err(operation::not_there(name));
    }
    if !begun.is_empty() {
        thread::sleep(doctor::SAMPLE);
    }
    let ask = PortQuestions::ask()?;
    let mut aggregates = Vec::new();
    for examination in begun {
        aggregates.extend(examination.end(&mut netlink, &ask)?);
    }
    Ok(Facts { kernel: vitals::kernel(), host: snapshot::glance(&mut netlink)?, aggregates })
}

impl Report {
    /// For people: two lines for each finding.
    fn render(&self) -> String {
        if self.findings.is_empty() {
            return format!("nothing found; looked at: {}", self.looked_at());
        }
        self.findings.iter().map(lines).collect::<Vec<_>>().join("\n")
    }

    fn looked_at(&self) -> String {
        let kernel = format!("Linux {}", self.kernel);
        std::iter::once(&kernel).chain(&self.aggregates).cloned().collect::<Vec<_>>().join(", ")
    }
}

fn lines(finding: &Finding) -> String {
    let about = finding.aggregate.as_deref().unwrap_or("kernel");
    let Finding { id, severity, seen, remedy, .. } = finding;
    format!("{severity}: {about}: {seen} [{id}]\n  do: {remedy}")
}

#[cfg(test)]
mod tests {
    use aggctl_engine::doctor::Severity;

    use super::*;

    fn report(findings: Vec<Finding>) -> Report {
        Report { schema: SCHEMA, kernel: "6.18.0".into(), aggregates: vec!["agg0".into(), "agg1".into()], findings }
    }

    #[test]
    fn nothing_is_said_with_what_was_looked_at() {
        assert_eq!(report(Vec::new()).render(), "nothing found; looked at: Linux 6.18.0, agg0, agg1");
    }

    #[test]
    fn a_finding_is_two_lines() {
        let finding = |aggregate: Option<&str>| Finding {
            id: "port-down",
            severity: Severity::Warning,
            aggregate: aggregate.map(str::to_owned),
            ports: vec!["eth1".into()],
            seen: "eth1 is administratively down".into(),
            remedy: "`ip link set eth1 up`".into(),
        };
        assert_eq!(
            report(vec![finding(Some("agg0")), finding(None)]).render(),
            "warning: agg0: eth1 is administratively down [port-down]\n  do: `ip link set eth1 up`\n\
             warning: kernel: eth1 is administratively down [port-down]\n  do: `ip link set eth1 up`"
        );
    }
}
