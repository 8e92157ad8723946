//! Attribute values that borrow from nothing.

use std::borrow::Cow;

use super::tree::Node;

impl Node<'_> {
    /// The same value, borrowing from nothing.
    pub(crate) fn into_owned(self) -> Node<'static> {
        match self {
            Self::S(text) => Node::S(owned(text)),
            Self::N(text) => Node::N(owned(text)),
            Self::B(bytes) => Node::B(bytes),
            Self::Bool(value) => Node::Bool(value),
            Self::Null => Node::Null,
            Self::L(values) => Node::L(values.into_iter().map(Node::into_owned).collect()),
            Self::M(fields) => Node::M(
                fields.into_iter().map(|(name, value)| (owned(name), value.into_owned())).collect(),
            ),
            Self::Ss(texts) => Node::Ss(texts.into_iter().map(owned).collect()),
            Self::Ns(texts) => Node::Ns(texts.into_iter().map(owned).collect()),
            Self::Bs(values) => Node::Bs(values),
        }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}
