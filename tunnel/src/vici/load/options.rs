//! A section that is read key by key.

use super::fault::{LoadFault, ValueFault, Warning};
use super::values;
use crate::vici::message::{Element, Message};
use std::collections::BTreeSet;

/// A section that is read key by key. What was not asked for by the end of it is unknown.
pub(super) struct Options<'a> {
    path: String,
    section: &'a Message,
    asked: BTreeSet<&'static str>,
    /// Beginnings of the names of sections in it.
    prefixes: Vec<&'static str>,
    warnings: Vec<Warning>,
}

/// A value as it goes into a complaint.
const LONGEST_QUOTE: usize = 100;

impl<'a> Options<'a> {
    /// `path` is what complaints name it by; empty for the outermost.
    pub(super) fn new(path: &str, section: &'a Message) -> Self {
        Self {
            path: path.to_owned(),
            section,
            asked: BTreeSet::new(),
            prefixes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The value of a key. An empty one is none.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<&'a str>, LoadFault> {
        self.asked.insert(key);
        let value = match self.section.get(key) {
            None => return Ok(None),
            Some(Element::Value(value)) => value,
            Some(Element::List(_) | Element::Section(_)) => return Err(self.unknown(key)),
        };
        let text = std::str::from_utf8(value).map_err(|_| self.invalid(key, value, ValueFault::Text))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The value of a key as what it means.
    pub(super) fn parse<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, ValueFault>,
    ) -> Result<Option<T>, LoadFault> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        parse(text).map(Some).map_err(|fault| self.invalid(key, text.as_bytes(), fault))
    }

    /// The value of a key that is yes or no.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, LoadFault> {
        self.parse(key, values::flag)
    }

    /// The meaning of a key that is one of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &'static [&'static str],
        meanings: &[T],
    ) -> Result<Option<T>, LoadFault> {
        self.parse(key, |text| {
            let place = words.iter().position(|word| word.eq_ignore_ascii_case(text));
            place.and_then(|place| meanings.get(place)).copied().ok_or(ValueFault::Choice(words))
        })
    }

    /// The items of a list, each as what it means. Empty ones are left out.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, ValueFault>,
    ) -> Result<Vec<T>, LoadFault> {
        let parse = |item: &[u8]| std::str::from_utf8(item).map_err(|_| ValueFault::Text).and_then(&parse);
        self.blobs(key, parse)
    }

    /// The items of a list that need not be text.
    pub(super) fn blobs<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&[u8]) -> Result<T, ValueFault>,
    ) -> Result<Vec<T>, LoadFault> {
        self.asked.insert(key);
        let items = match self.section.get(key) {
            None => return Ok(Vec::new()),
            Some(Element::List(items)) => items,
            // Some clients have no lists, or send one item as it is.
            Some(Element::Value(value)) if value.is_empty() => return Ok(Vec::new()),
            Some(Element::Value(_) | Element::Section(_)) => return Err(self.unknown(key)),
        };
        let items = items.iter().filter(|item| !item.is_empty());
        items.map(|item| parse(item).map_err(|fault| self.invalid(key, item, fault))).collect()
    }

    /// The sections whose names begin so.
    pub(super) fn sections(&mut self, prefix: &'static str) -> Vec<Options<'a>> {
        self.prefixes.push(prefix);
        let named = self.section.sections().filter(|(name, _)| has_prefix(name, prefix));
        named.map(|(name, section)| Self::new(&self.place(name), section)).collect()
    }

    /// The section of this very name.
    pub(super) fn section(&mut self, name: &'static str) -> Option<&'a Message> {
        self.asked.insert(name);
        self.section.section(name)
    }

    /// Refuses every value of a key but those for which it is as if it were not there.
    pub(super) fn refuse(
        &mut self,
        key: &'static str,
        harmless: &[&str],
        reason: &'static str,
    ) -> Result<(), LoadFault> {
        match self.text(key)? {
            Some(value) if !harmless.iter().any(|it| it.eq_ignore_ascii_case(value)) => {
                Err(self.unsupported(key, value, reason))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a list that is not empty.
    pub(super) fn refuse_list(&mut self, key: &'static str, reason: &'static str) -> Result<(), LoadFault> {
        match self.list(key, |item| Ok(item.to_owned()))?.first() {
            Some(item) => Err(self.unsupported(key, item, reason)),
            None => Ok(()),
        }
    }

    /// Says that a key does nothing here, unless it asks for nothing.
    pub(super) fn ignore(
        &mut self,
        key: &'static str,
        harmless: &[&str],
        reason: &'static str,
    ) -> Result<(), LoadFault> {
        if let Some(value) = self.text(key)?.filter(|value| !harmless.contains(value)) {
            self.warn(key, value, reason);
        }
        Ok(())
    }

    pub(super) fn warn(&mut self, key: &str, value: &str, reason: &'static str) {
        self.warnings.push(Warning { option: self.place(key), value: value.to_owned(), reason });
    }

    /// What was said in sections of it counts as said in it.
    pub(super) fn take_warnings(&mut self, warnings: Vec<Warning>) {
        self.warnings.extend(warnings);
    }

    /// Everything was asked for that there may be.
    pub(super) fn finish(self) -> Result<Vec<Warning>, LoadFault> {
        for (name, element) in self.section.elements() {
            let known = match element {
                Element::Section(_) => {
                    self.asked.contains(name) || self.prefixes.iter().any(|prefix| has_prefix(name, prefix))
                }
                Element::Value(_) | Element::List(_) => self.asked.contains(name),
            };
            match element {
                _ if known => {}
                Element::Section(_) => return Err(LoadFault::UnknownSection { section: self.place(name) }),
                Element::Value(_) | Element::List(_) => return Err(self.unknown(name)),
            }
        }
        Ok(self.warnings)
    }

    /// The last part of where it stands.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// Everything in it whose name no table knows beforehand.
    pub(super) fn others(&self) -> impl Iterator<Item = (&'a str, &'a Element)> {
        self.section.elements().filter(|(name, _)| !self.asked.contains(name))
    }

    pub(super) fn unsupported(&self, key: &str, value: &str, reason: &'static str) -> LoadFault {
        LoadFault::Unsupported { option: self.place(key), value: value.to_owned(), reason }
    }

    pub(super) fn unknown(&self, key: &str) -> LoadFault {
        LoadFault::UnknownOption { option: self.place(key) }
    }

    pub(super) fn missing(&self, key: &str) -> LoadFault {
        LoadFault::Missing { option: self.place(key) }
    }

    pub(super) fn invalid(&self, key: &str, value: &[u8], fault: ValueFault) -> LoadFault {
        let mut value = String::from_utf8_lossy(value).into_owned();
        value.truncate(value.floor_char_boundary(LONGEST_QUOTE));
        LoadFault::Invalid { option: self.place(key), value, fault }
    }

    fn place(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}
