//! Reading the file.

use toml_edit::{Document, Item, Key, TableLike};

use super::{
    Mistake, PORTS,
    item::{NoValue, typed},
};
use crate::{
    config::{AggregateConfig, PortConfig},
    names,
    options::{self, GROUPS, GivenOptions, GivenPort, Invalid, find, same},
};

/// What a file says about an aggregate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFile {
    /// Options of the aggregate.
    pub options: GivenOptions,
    /// Its ports, in the order of the file.
    pub ports: Vec<GivenPort>,
}

impl ConfigFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// The first mistake, and where it is.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        let syntax = |error: toml_edit::TomlError| Mistake::at(text, error.span(), error.message());
        let document = Document::parse(text).map_err(syntax)?;
        let mut file = Self::default();
        let source = Source { text };
        for (key, item) in entries(document.as_table()) {
            if same(key.get(), PORTS) { source.ports(&mut file, item)? } else { source.option(&mut file, key, item)? }
        }
        Ok(file)
    }

    /// The aggregate of this name that it describes; what it does not say has its default.
    ///
    /// # Errors
    ///
    /// None, after [`ConfigFile::read`].
    pub fn config(&self, name: &str) -> Result<AggregateConfig, Invalid> {
        let ports = self.ports.iter().map(GivenPort::config).collect::<Result<_, _>>()?;
        let mut config = AggregateConfig::new(name, ports);
        options::apply(&mut config, &self.options.options)?;
        Ok(config)
    }
}

/// What is in a table.
pub(super) fn entries(table: &dyn TableLike) -> Vec<(&Key, &Item)> {
    table.iter().filter_map(|(key, _)| table.get_key_value(key)).collect()
}

/// The text that is read, for where mistakes are.
struct Source<'a> {
    text: &'a str,
}

impl Source<'_> {
    fn mistake(&self, span: Option<std::ops::Range<usize>>, why: impl std::fmt::Display) -> Mistake {
        Mistake::at(self.text, span, why)
    }

    fn no_value(&self, why: &NoValue) -> Mistake {
        self.mistake(why.span.clone(), why)
    }

    /// An option of the aggregate, or a group of them. What may be said several times is an array; of what may not an
    /// array is what is written with commas on the command line.
    fn option(&self, file: &mut ConfigFile, key: &Key, item: &Item) -> Result<(), Mistake> {
        let kind = find::<AggregateConfig>(key.get()).map(|row| row.kind);
        let is_group = GROUPS.iter().any(|group| same(group.name, key.get()));
        if kind.is_none() && !is_group {
            // It says which there are.
            let unknown = file.options.option(key.get(), "");
            return unknown.map_err(|why| self.mistake(key.span(), why));
        }
        let values = typed(item, kind).map_err(|why| self.no_value(&why))?;
        let is_repeated = is_group || kind.is_some_and(|kind| kind.between().is_some());
        if values.is_empty() {
            return Err(self.mistake(item.span(), format!("{} has no value", key.get())));
        }
        if is_repeated {
            return values.iter().try_for_each(|value| {
                let taken = file.options.option(key.get(), &value.text);
                taken.map_err(|why| self.mistake(value.span.clone(), why))
            });
        }
        let texts: Vec<_> = values.iter().map(|value| value.text.as_str()).collect();
        let taken = file.options.option(key.get(), &texts.join(","));
        taken.map_err(|why| self.mistake(item.span(), why))
    }

    /// All ports: a table of them, or an array of what `--port` takes.
    fn ports(&self, file: &mut ConfigFile, item: &Item) -> Result<(), Mistake> {
        if let Some(table) = item.as_table_like() {
            return entries(table).into_iter().try_for_each(|(name, settings)| {
                let mut port = GivenPort::new(name.get());
                self.settings(&mut port, name, settings)?;
                self.add(file, port, name.span())
            });
        }
        let no_ports = || self.mistake(item.span(), "ports are tables, [ports.eth0], or an array of texts: [\"eth0\"]");
        let array = item.as_array().ok_or_else(no_ports)?;
        array.iter().try_for_each(|value| {
            let text = value.as_str().ok_or_else(no_ports)?;
            let port = GivenPort::read(text).map_err(|why| self.mistake(value.span(), why))?;
            self.add(file, port, value.span())
        })
    }

    /// The settings of a port.
    fn settings(&self, port: &mut GivenPort, name: &Key, item: &Item) -> Result<(), Mistake> {
        let no_table = || self.mistake(item.span(), format!("{} needs a table of settings, or {{}}", name.get()));
        let table = item.as_table_like().ok_or_else(no_table)?;
        entries(table).into_iter().try_for_each(|(key, item)| {
            let kind = find::<PortConfig>(key.get()).map(|row| row.kind);
            let values = typed(item, kind).map_err(|why| self.no_value(&why))?;
            let texts: Vec<_> = values.iter().map(|value| value.text.as_str()).collect();
            let unknown = |why: &Invalid| matches!(why, Invalid::UnknownKey { .. });
            let span = |why: &Invalid| if unknown(why) { key.span() } else { item.span() };
            port.option(key.get(), &texts.join(",")).map_err(|why| self.mistake(span(&why), why))
        })
    }

    fn add(&self, file: &mut ConfigFile, port: GivenPort, span: Option<std::ops::Range<usize>>) -> Result<(), Mistake> {
        names::check(&port.name).map_err(|why| self.mistake(span.clone(), why))?;
        if file.ports.iter().any(|other| other.name == port.name) {
            return Err(self.mistake(span, format!("{} is a port already", port.name)));
        }
        file.ports.push(port);
        Ok(())
    }
}
