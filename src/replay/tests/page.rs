//! A page as a browser takes it apart, as far as ours need it.

use std::collections::BTreeSet;

/// Elements that have no end.
const VOID: [&str; 1] = ["meta"];

/// A tag and its attributes; text that is in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
}

/// The tags of a page in order.
///
/// Panics if elements are not closed in the order in which they were opened, an attribute is not quoted, an id is given
/// twice, or a label refers to no id.
pub(super) fn tags(html: &str) -> Vec<Tag> {
    let rest = html.strip_prefix("<!DOCTYPE html>\n").expect("a document type");
    // What is in a style sheet is no markup.
    let (before, style) = rest.split_once("<style>").expect("a style sheet");
    let (style, after) = style.split_once("</style>").expect("it ends");
    assert!(!style.contains('<'));
    let mut tags = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for piece in before.split('<').chain(after.split('<')) {
        let Some((inside, _text)) = piece.split_once('>') else {
            assert!(piece.trim().is_empty(), "text outside of all: {piece:?}");
            continue;
        };
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "in {inside:?}");
            continue;
        }
        let (inside, closed) = inside
            .strip_suffix('/')
            .map_or((inside, false), |inside| (inside, true));
        let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        if !closed && !VOID.contains(&name) {
            open.push(name.to_owned());
        }
        tags.push(Tag {
            name: name.to_owned(),
            attributes: attributes_of(attributes),
        });
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    check_ids(&tags);
    tags
}

fn attributes_of(mut text: &str) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    while !text.trim().is_empty() {
        let (name, rest) = text.trim_start().split_once("=\"").expect("a quoted attribute");
        let (value, rest) = rest.split_once('"').expect("its end");
        attributes.push((name.to_owned(), value.to_owned()));
        text = rest;
    }
    attributes
}

fn check_ids(tags: &[Tag]) {
    let all = || tags.iter().flat_map(|tag| &tag.attributes);
    let mut ids = BTreeSet::new();
    for (_, id) in all().filter(|(name, _)| name == "id") {
        assert!(ids.insert(id), "{id} is given twice");
    }
    for (_, id) in all().filter(|(name, _)| name == "aria-labelledby") {
        assert!(ids.contains(id), "{id} is no id");
    }
}
