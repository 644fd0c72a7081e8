//! Names of files with wildcards.

/// Whether a name stands for several.
pub(super) fn has_wildcard(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether a name fits: `*` stands for anything, `?` for one character. A leading dot has to be written.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // reached[at]: what there was of the pattern fits the first `at` characters.
    let mut reached = vec![false; name.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for wanted in pattern {
        reached = match wanted {
            // From the first place that was reached on, everything is.
            '*' => {
                let first = reached.iter().position(|fits| *fits).unwrap_or(reached.len());
                (0..reached.len()).map(|at| at >= first).collect()
            }
            _ => {
                let steps = reached.iter().zip(&name);
                let step = steps.map(|(fits, actual)| *fits && (wanted == '?' || wanted == *actual));
                std::iter::once(false).chain(step).collect()
            }
        };
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, name) in [
            ("ipsec.*.secrets", "ipsec.a.secrets"),
            ("*", "anything"),
            ("a*b*c", "a-b-b-c"),
            ("a?c", "abc"),
            ("**", ""),
            (".*", ".hidden"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("ipsec.*.secrets", "ipsec.secrets"),
            ("a?c", "ac"),
            ("*", ".hidden"),
            ("a*b", "a-b-c"),
            ("", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
