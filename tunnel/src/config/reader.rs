//! Reading typed values out of TOML, keeping the place of each mistake.

use super::files::Files;
use super::mistake::{Fault, FileFault, Mistake, Mistakes, Place};
use super::schema::Schema;
use super::values::ValueFault;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the sections of one file share.
pub(super) struct Context<'a> {
    text: &'a str,
    file: PathBuf,
    mistakes: Vec<(usize, Fault)>,
    pub(super) files: Files,
}

/// A place in the text, in bytes.
pub(super) type Span = Range<usize>;

/// A table with the keys that it may have.
#[derive(Clone)]
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    schema: &'static Schema,
    pub(super) span: Span,
}

/// What a key may be that is either switched or spelt out.
pub(super) enum FlagOrNumbers {
    Flag(bool),
    Numbers(Vec<u32>),
}

/// Something, and where it stands.
#[derive(Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

impl<'a> Context<'a> {
    pub(super) fn new(text: &'a str, file: &Path) -> Self {
        let base = file.parent().map(Path::to_owned).unwrap_or_default();
        Self { text, file: file.to_owned(), mistakes: Vec::new(), files: Files::new(base) }
    }

    pub(super) fn complain(&mut self, span: &Span, fault: Fault) {
        self.mistakes.push((span.start, fault));
    }

    pub(super) fn complain_of_file(&mut self, key: &str, span: &Span, path: PathBuf, fault: FileFault) {
        self.complain(span, Fault::File { key: key.to_owned(), path, fault });
    }

    pub(super) fn has_mistakes(&self) -> bool {
        !self.mistakes.is_empty()
    }

    /// All mistakes in the order of the file.
    pub(super) fn mistakes(mut self) -> Mistakes {
        self.mistakes.sort_by_key(|(at, _)| *at);
        let (file, text) = (self.file, self.text);
        let placed = |(at, fault)| Mistake { place: place(&file, text, at), fault };
        let all = self.mistakes.into_iter().map(placed).collect();
        let mut files = self.files.into_paths();
        files.insert(file.clone());
        Mistakes { all, files }
    }
}

fn place(file: &Path, text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Place { file: file.to_owned(), line, column }
}

impl<'a> Section<'a> {
    /// Complains of keys that mean nothing.
    pub(super) fn new(
        context: &mut Context<'_>,
        table: &'a DeTable<'a>,
        span: Span,
        schema: &'static Schema,
    ) -> Self {
        for key in table.keys().filter(|key| !schema.keys.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().to_string();
            let fault = Fault::UnknownKey { key: name, section: schema.name, known: schema.keys };
            context.complain(&key.span(), fault);
        }
        Self { table, schema, span }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(self.schema.keys.contains(&key), "{key} is not in the schema of {}", self.schema.name);
        self.table.get(key)
    }

    pub(super) fn missing(&self, context: &mut Context<'_>, key: &'static str, reason: &'static str) {
        let fault = Fault::Missing { key, section: self.schema.name, reason };
        context.complain(&self.span, fault);
    }

    pub(super) fn section(
        &self,
        context: &mut Context<'_>,
        key: &str,
        schema: &'static Schema,
    ) -> Option<Section<'a>> {
        let value = self.get(key)?;
        section(context, key, value, schema)
    }

    pub(super) fn sections(
        &self,
        context: &mut Context<'_>,
        key: &str,
        schema: &'static Schema,
    ) -> Vec<Section<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            wrong_type(context, key, value, "an array of tables, each under a [[heading]]");
            return Vec::new();
        };
        array.iter().filter_map(|item| section(context, key, item, schema)).collect()
    }

    pub(super) fn text(&self, context: &mut Context<'_>, key: &str) -> Option<At<&'a str>> {
        let value = self.get(key)?;
        text(context, key, value, "a text in quotes")
    }

    /// `None` where the key is left out.
    pub(super) fn texts(&self, context: &mut Context<'_>, key: &str) -> Option<Vec<At<&'a str>>> {
        let value = self.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            wrong_type(context, key, value, "a list of texts in brackets, [\"…\", \"…\"]");
            return None;
        };
        let texts =
            array.iter().filter_map(|item| text(context, key, item, "a list of texts, [\"…\", \"…\"]"));
        Some(texts.collect())
    }

    pub(super) fn flag(&self, context: &mut Context<'_>, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            wrong_type(context, key, value, "true or false");
        }
        flag
    }

    /// A whole number between these two, both allowed.
    pub(super) fn number(&self, context: &mut Context<'_>, key: &str, least: u32, most: u32) -> Option<u32> {
        number(context, key, self.get(key)?, "a whole number, without quotes", least..=most)
    }

    /// `true`, `false`, or a list of whole numbers between these two, both allowed.
    pub(super) fn flag_or_numbers(
        &self,
        context: &mut Context<'_>,
        key: &str,
        least: u32,
        most: u32,
    ) -> Option<FlagOrNumbers> {
        const EXPECTED: &str = "true, false, or a list of whole numbers, [0, 2]";
        let value = self.get(key)?;
        if let Some(flag) = value.get_ref().as_bool() {
            return Some(FlagOrNumbers::Flag(flag));
        }
        let Some(array) = value.get_ref().as_array() else {
            wrong_type(context, key, value, EXPECTED);
            return None;
        };
        let numbers = array.iter().map(|item| number(context, key, item, EXPECTED, least..=most));
        numbers.collect::<Option<_>>().map(FlagOrNumbers::Numbers)
    }

    pub(super) fn port(&self, context: &mut Context<'_>, key: &str) -> Option<u16> {
        self.number(context, key, 1, u16::MAX.into()).and_then(|port| u16::try_from(port).ok())
    }

    /// A number with or without a fraction, between these two.
    pub(super) fn fraction(
        &self,
        context: &mut Context<'_>,
        key: &str,
        least: f64,
        most: f64,
    ) -> Option<f64> {
        let value = self.get(key)?;
        let written = match value.get_ref() {
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            _ => {
                wrong_type(context, key, value, "a number, without quotes");
                return None;
            }
        };
        let number = written.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let fault = ValueFault::Bounds { least, most };
            context.complain(&value.span(), Fault::Value { key: key.to_owned(), value: written, fault });
        }
        number
    }

    /// A text with a meaning.
    pub(super) fn parse<T>(
        &self,
        context: &mut Context<'_>,
        key: &str,
        meaning: impl Fn(&str) -> Result<T, ValueFault>,
    ) -> Option<T> {
        let text = self.text(context, key)?;
        parsed(context, key, &text, meaning)
    }

    /// Texts with a meaning; none where the key is left out.
    pub(super) fn parse_all<T>(
        &self,
        context: &mut Context<'_>,
        key: &str,
        meaning: impl Fn(&str) -> Result<T, ValueFault>,
    ) -> Vec<T> {
        let texts = self.texts(context, key).unwrap_or_default();
        texts.iter().filter_map(|text| parsed(context, key, text, &meaning)).collect()
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &self,
        context: &mut Context<'_>,
        key: &str,
        words: &'static [&'static str],
        meanings: &[T],
    ) -> Option<T> {
        self.parse(context, key, |text| {
            let found = words.iter().zip(meanings).find(|(word, _)| **word == text);
            found.map(|(_, meaning)| *meaning).ok_or(ValueFault::Choice(words))
        })
    }
}

fn parsed<T>(
    context: &mut Context<'_>,
    key: &str,
    text: &At<&str>,
    meaning: impl Fn(&str) -> Result<T, ValueFault>,
) -> Option<T> {
    match meaning(text.value) {
        Ok(value) => Some(value),
        Err(fault) => {
            let value = text.value.to_owned();
            context.complain(&text.span, Fault::Value { key: key.to_owned(), value, fault });
            None
        }
    }
}

fn section<'a>(
    context: &mut Context<'_>,
    key: &str,
    value: &'a Spanned<DeValue<'a>>,
    schema: &'static Schema,
) -> Option<Section<'a>> {
    let Some(table) = value.get_ref().as_table() else {
        wrong_type(context, key, value, "a table");
        return None;
    };
    Some(Section::new(context, table, value.span(), schema))
}

fn text<'a>(
    context: &mut Context<'_>,
    key: &str,
    value: &'a Spanned<DeValue<'a>>,
    expected: &'static str,
) -> Option<At<&'a str>> {
    let text = value.get_ref().as_str();
    if text.is_none() {
        wrong_type(context, key, value, expected);
    }
    text.map(|text| At { value: text, span: value.span() })
}

fn number(
    context: &mut Context<'_>,
    key: &str,
    value: &Spanned<DeValue<'_>>,
    expected: &'static str,
    bounds: RangeInclusive<u32>,
) -> Option<u32> {
    let Some(integer) = value.get_ref().as_integer() else {
        wrong_type(context, key, value, expected);
        return None;
    };
    let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
    let number = number.and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| bounds.contains(number));
    if number.is_none() {
        let fault = ValueFault::Bounds { least: (*bounds.start()).into(), most: (*bounds.end()).into() };
        let (key, written) = (key.to_owned(), integer.to_string());
        context.complain(&value.span(), Fault::Value { key, value: written, fault });
    }
    number
}

fn wrong_type(context: &mut Context<'_>, key: &str, value: &Spanned<DeValue<'_>>, expected: &'static str) {
    let found = value.get_ref().type_str();
    context.complain(&value.span(), Fault::WrongType { key: key.to_owned(), expected, found });
}
