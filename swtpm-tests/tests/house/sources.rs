//! Rust sources as text: what is shipped, what is a test, what is code and what is comment.

use crate::workspace::{TextFile, ending, members};

/// A part of a Rust file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
}

/// Every Rust file.
pub(crate) fn all() -> impl Iterator<Item = &'static TextFile> {
    ending(&[".rs"])
}

/// Whether a file is a test from its first line to its last.
fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "benches") || path.ends_with("/tests.rs") || path.starts_with("swtpm-tests/")
}

/// A file's inline tests begin here; they are its last item.
fn inline_tests(text: &str) -> usize {
    let attribute = text.match_indices("#[cfg(test)]").map(|(at, _)| at);
    attribute
        .into_iter()
        .find(|at| text[*at..].lines().take(3).any(|line| line.starts_with("mod ") && line.ends_with('{')))
        .unwrap_or(text.len())
}

/// The shipped part of every file below a crate's `src`.
pub(crate) fn shipped(folder: &str) -> impl Iterator<Item = Source> {
    let below = format!("{folder}/src/");
    all()
        .filter(move |file| file.path.starts_with(&below) && !is_test_file(&file.path))
        .map(|file| Source { path: &file.path, text: &file.text[..inline_tests(&file.text)] })
}

/// The shipped part of every crate that is shipped.
pub(crate) fn all_shipped() -> Vec<Source> {
    let folders = members().values().map(|member| member.folder.clone()).filter(|folder| !folder.starts_with("swtpm-tests"));
    folders.flat_map(|folder| shipped(&folder).collect::<Vec<_>>()).collect()
}

/// Every test: whole files, and the inline ones.
pub(crate) fn tests() -> impl Iterator<Item = Source> {
    all().map(|file| {
        let from = if is_test_file(&file.path) { 0 } else { inline_tests(&file.text) };
        Source { path: &file.path, text: &file.text[from..] }
    })
}

impl Source {
    /// The code without comments. Strings stay: a rule about words in code is written so that none of them offends.
    pub(crate) fn code(&self) -> String {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect()
    }
}

/// Whether `word` stands in `text` by itself.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| !part(text[..at].chars().next_back()) && !part(text[at + word.len()..].chars().next()))
}

/// A function: its name, its first line (from 0), and how many lines it has.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) length: usize,
}

/// The functions of formatted code: one ends with the first brace that stands as far left as its head.
pub(crate) fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (line, head) in lines.iter().enumerate() {
        let indent = head.len() - head.trim_start().len();
        let Some(name) = function_name(head.trim_start()) else { continue };
        let end = format!("{}}}", &head[..indent]);
        let is_whole = |line: &str| line.ends_with('}') && line.contains('{') || line.ends_with(';');
        let ends_at = |(_, line): &(usize, &&str)| **line == end || (line.len() - line.trim_start().len() == indent && line.ends_with(';'));
        let length =
            if is_whole(head) { 1 } else { lines.iter().enumerate().skip(line + 1).find(ends_at).map_or(1, |(last, _)| last - line + 1) };
        found.push(Function { name: name.to_owned(), line, length });
    }
    found
}

fn function_name(head: &str) -> Option<&str> {
    let (before, after) = head.split_once("fn ")?;
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
    let is_head = before.split_whitespace().all(|word| qualifiers.contains(&word));
    let name = after.split(['(', '<']).next()?;
    (is_head && !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(name)
}

#[test]
fn the_reader_of_sources_reads() {
    let text =
        "pub(crate) fn one() -> u8 { 1 }\n\nimpl X {\n    async fn two<T>(\n        x: T,\n    ) {\n        if x {\n        }\n    }\n}\n";
    let found: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.line, f.length)).collect();
    assert_eq!(found, [("one".to_owned(), 0, 1), ("two".to_owned(), 3, 6)]);
    assert!(has_word("use std::{fmt, fs};", "fs") && !has_word("use std::{fmts, prefs};", "fs"));
    let tested = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n}\n";
    assert_eq!(inline_tests(tested), 10);
    let apart = "#[cfg(test)]\nmod tests;\nfn a() {}\n";
    assert_eq!(inline_tests(apart), apart.len());
    let source = Source { path: "x", text: "// std::fs::read\nlet x = 1;\n" };
    assert_eq!(source.code(), "let x = 1;\n");
}
