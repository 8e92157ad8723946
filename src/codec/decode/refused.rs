//! Why a record refused what serde's buffers cannot carry: their errors have no path.

use super::number::Carried;
use crate::codec::tree::{Fields, Node, field};
use crate::codec::{CodecError, PathPart, Uncarried, write_path};

/// The error, with the path of the value that was refused where there is but one that it can be.
pub(super) fn explained(error: CodecError, fields: &Fields<'_>) -> CodecError {
    if error.uncarried == Uncarried::No {
        return error;
    }
    let mut found = Vec::new();
    let mut path: Vec<PathPart> = error.path.iter().rev().cloned().collect();
    match at(fields, &path) {
        Some(node) => search(node, false, &mut path, &mut found),
        None if path.is_empty() => search_fields(fields, &mut path, &mut found),
        None => {}
    }
    match &mut found[..] {
        [] => error,
        [one] if error.uncarried == Uncarried::Refused => {
            one.path.reverse();
            CodecError { path: std::mem::take(&mut one.path), ..CodecError::new(one.what.why()) }
        }
        several => {
            let places: Vec<String> = several.iter().map(Found::to_string).collect();
            let why = format!("{}; that may be due to {}", error.why, places.join(", or to "));
            CodecError { path: error.path, ..CodecError::new(why) }
        }
    }
}

/// A value that serde's buffers cannot carry.
struct Found {
    /// From the outermost part inwards.
    path: Vec<PathPart>,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    LongNumber,
    SetInList,
}

impl What {
    fn why(self) -> String {
        match self {
            Self::LongNumber => CodecError::too_long("f64").why.into_owned(),
            Self::SetInList => "a number set directly within a list is read there as a \
                 `memory_table::Set` or `memory_table::Attributes` only"
                .to_owned(),
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_path(f, self.path.iter())?;
        f.write_str(&self.what.why())
    }
}

fn at<'n, 'a>(fields: &'n Fields<'a>, path: &[PathPart]) -> Option<&'n Node<'a>> {
    let (first, rest) = path.split_first()?;
    let PathPart::Name(name) = first else {
        return None;
    };
    rest.iter().try_fold(field(fields, name)?, |node, part| match (node, part) {
        (Node::M(fields), PathPart::Name(name)) => field(fields, name),
        (Node::L(values), PathPart::Index(index)) => values.get(*index),
        // An element of a set: the set is what there is to look at.
        (set, PathPart::Index(_)) => Some(set),
        _ => None,
    })
}

fn search_fields(fields: &Fields<'_>, path: &mut Vec<PathPart>, found: &mut Vec<Found>) {
    for (name, node) in fields {
        path.push(PathPart::Name(name.clone().into_owned()));
        search(node, false, path, found);
        path.pop();
    }
}

fn search(node: &Node<'_>, in_list: bool, path: &mut Vec<PathPart>, found: &mut Vec<Found>) {
    let mut add = |what| found.push(Found { path: path.clone(), what });
    match node {
        Node::N(text) if Carried::of(text).is_none() => add(What::LongNumber),
        Node::Ns(_) if in_list => add(What::SetInList),
        Node::Ns(texts) if texts.iter().any(|text| Carried::of(text).is_none()) => {
            add(What::LongNumber);
        }
        Node::M(fields) => search_fields(fields, path, found),
        Node::L(values) => {
            for (index, value) in values.iter().enumerate() {
                path.push(PathPart::Index(index));
                search(value, true, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}
