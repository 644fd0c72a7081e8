//! The tree that packets carry.

use std::fmt::Display;
use zeroize::Zeroizing;

/// A section: named values, lists and sections, in the order in which they were put in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    elements: Vec<(String, Element)>,
}

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// A value, mostly text.
    Value(Vec<u8>),
    /// Values without names.
    List(Vec<Vec<u8>>),
    /// A section within.
    Section(Message),
}

impl Message {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value in.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.put(name, value);
        self
    }

    /// Puts a list in.
    #[must_use]
    pub fn with_list<T: Display>(mut self, name: &str, items: impl IntoIterator<Item = T>) -> Self {
        self.put_list(name, items);
        self
    }

    /// Puts a section in.
    #[must_use]
    pub fn with_section(mut self, name: &str, section: Self) -> Self {
        self.put_section(name, section);
        self
    }

    /// Puts a value in.
    pub fn put(&mut self, name: &str, value: impl Display) {
        self.push(name.to_owned(), Element::Value(value.to_string().into_bytes()));
    }

    /// Puts a value in where there is one.
    pub fn put_some(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Puts a list in.
    pub fn put_list<T: Display>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        let items = items.into_iter().map(|item| item.to_string().into_bytes()).collect();
        self.push(name.to_owned(), Element::List(items));
    }

    /// Puts a section in.
    pub fn put_section(&mut self, name: &str, section: Self) {
        self.push(name.to_owned(), Element::Section(section));
    }

    /// Puts anything in.
    pub fn push(&mut self, name: String, element: Element) {
        self.elements.push((name, element));
    }

    /// Everything in it, in order.
    pub fn elements(&self) -> impl Iterator<Item = (&str, &Element)> {
        self.elements.iter().map(|(name, element)| (name.as_str(), element))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// What has this name.
    pub fn get(&self, name: &str) -> Option<&Element> {
        self.elements().find(|(candidate, _)| *candidate == name).map(|(_, element)| element)
    }

    /// The value of this name, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Element::Value(value) => std::str::from_utf8(value).ok(),
            Element::List(_) | Element::Section(_) => None,
        }
    }

    /// Takes the value of this name out, so that nothing of it is left behind.
    pub fn take_secret(&mut self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        let at = self.elements.iter().position(|(candidate, _)| candidate == name)?;
        match self.elements.remove(at) {
            (_, Element::Value(value)) => Some(Zeroizing::new(value)),
            other => {
                self.elements.insert(at, other);
                None
            }
        }
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Self> {
        match self.get(name)? {
            Element::Section(section) => Some(section),
            Element::Value(_) | Element::List(_) => None,
        }
    }

    /// The list of this name, as far as it is text; nothing where there is no list.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let items = match self.get(name) {
            Some(Element::List(items)) => items.as_slice(),
            _ => &[],
        };
        items.iter().filter_map(|item| std::str::from_utf8(item).ok())
    }

    /// The sections in it, with their names.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.elements().filter_map(|(name, element)| match element {
            Element::Section(section) => Some((name, section)),
            Element::Value(_) | Element::List(_) => None,
        })
    }

    /// Whether a command answered that it was done. Some answers say nothing about it, and mean yes.
    pub fn is_success(&self) -> bool {
        self.text("success").is_none_or(|success| success == "yes")
    }
}
