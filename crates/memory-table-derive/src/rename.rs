//! The case rules of `#[serde(rename_all = "..")]`, as serde applies them to fields.
//!
//! serde takes a field to be in `snake_case` already, which makes most rules a plain replacement.

/// A case rule for field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The field's own name; also what serde's `lowercase` and `snake_case` amount to.
    AsWritten,
    /// `UPPERCASE` and `SCREAMING_SNAKE_CASE`, which are one for fields.
    Screaming,
    /// `PascalCase`.
    Pascal,
    /// `camelCase`.
    Camel,
    /// `kebab-case`.
    Kebab,
    /// `SCREAMING-KEBAB-CASE`.
    ScreamingKebab,
}

impl Rule {
    /// The rule of that name. An unknown one changes nothing, because serde reports it.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "UPPERCASE" | "SCREAMING_SNAKE_CASE" => Self::Screaming,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => Self::AsWritten,
        }
    }

    /// The name that a field is stored under.
    pub(crate) fn apply(self, field: &str) -> String {
        match self {
            Self::AsWritten => field.to_owned(),
            Self::Screaming => field.to_ascii_uppercase(),
            Self::Pascal => pascal(field),
            Self::Camel => uncapitalized(&pascal(field)),
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
        }
    }
}

/// Drops underscores and capitalizes what follows them.
fn pascal(field: &str) -> String {
    let mut result = String::with_capacity(field.len());
    let mut capitalize = true;
    for ch in field.chars() {
        if ch == '_' {
            capitalize = true;
        } else if capitalize {
            result.push(ch.to_ascii_uppercase());
            capitalize = false;
        } else {
            result.push(ch);
        }
    }
    result
}

/// Puts the first letter in lower case.
fn uncapitalized(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|ch| ch.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of serde's own test `rename_fields`, a field by all eight rules.
    #[test]
    fn fields_are_renamed_as_serde_renames_them() {
        let rules = [
            "lowercase",
            "UPPERCASE",
            "PascalCase",
            "camelCase",
            "snake_case",
            "SCREAMING_SNAKE_CASE",
            "kebab-case",
            "SCREAMING-KEBAB-CASE",
        ];
        let table = [
            ("outcome", "outcome OUTCOME Outcome outcome outcome OUTCOME outcome OUTCOME"),
            (
                "very_tasty",
                "very_tasty VERY_TASTY VeryTasty veryTasty very_tasty VERY_TASTY very-tasty VERY-TASTY",
            ),
            ("a", "a A A a a A a A"),
            ("z42", "z42 Z42 Z42 z42 z42 Z42 z42 Z42"),
            ("_id", "_id _ID Id id _id _ID -id -ID"),
            ("someID", "someID SOMEID SomeID someID someID SOMEID someID SOMEID"),
            ("x_2y", "x_2y X_2Y X2y x2y x_2y X_2Y x-2y X-2Y"),
        ];
        for (field, expected) in table {
            let renamed: Vec<_> = rules.iter().map(|rule| Rule::named(rule).apply(field)).collect();
            assert_eq!(renamed.join(" "), expected);
        }
    }

    #[test]
    fn an_unknown_rule_is_left_to_serde() {
        assert_eq!(Rule::named("Title Case").apply("very_tasty"), "very_tasty");
    }

    #[test]
    fn names_that_serde_cannot_slice_do_not_panic() {
        assert_eq!(Rule::Camel.apply("__"), "");
        assert_eq!(Rule::Camel.apply("élan_vital"), "élanVital");
    }
}
