//! `show`.

use aggctl_kernel::{netlink::Netlink, netns, state::Store};

use crate::{failure::Failure, operation, output::print, view};

/// Shows one aggregate, or all of this namespace.
///
/// # Errors
/// If the one that was named is not there, or the system cannot be asked.
pub fn run(name: Option<&str>, json: bool, buckets: bool) -> Result<(), Failure> {
    let mut netlink = Netlink::open()?;
    let cookie = netns::cookie()?;
    let text = match name {
        Some(name) => {
            let seen =
                look(&operation::store(name)?, &mut netlink, buckets)?.ok_or_else(|| operation::not_there(name))?;
            if json { to_json(&seen)? } else { seen.render() }
        }
        None => {
            let mut all = Vec::new();
            for name in Store::names(cookie)? {
                all.extend(look(&Store::new(cookie, name), &mut netlink, false)?);
            }
            if json { to_json(&all)? } else { all.iter().map(ShownAggregate::render).collect::<Vec<_>>().join("\n") }
        }
    };
    if text.is_empty() { Ok(()) } else { print(text.trim_end()) }
}

/// What is shown of an aggregate.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum ShownAggregate {
    Whole(Box<view::AggregateView>),
    Lost(view::LostView),
}

impl ShownAggregate {
    fn render(&self) -> String {
        match self {
            Self::Whole(view) => view::text::render(view),
            Self::Lost(lost) => lost.render(),
        }
    }
}

/// Looks at an aggregate. One whose record cannot be read keeps none of the others from being shown.
fn look(store: &Store, netlink: &mut Netlink, buckets: bool) -> Result<Option<ShownAggregate>, Failure> {
    match (view::look(store, netlink, buckets), store.find()) {
        (Err(_), Err(problem)) => {
            Ok(Some(ShownAggregate::Lost(view::LostView::of(store, netlink, problem.to_string())?)))
        }
        (seen, _) => Ok(seen?.map(|view| ShownAggregate::Whole(Box::new(view)))),
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(std::io::Error::from)?)
}
