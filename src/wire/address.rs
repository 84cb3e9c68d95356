//! Addresses on the wire (section 1): forms that are accepted, and the
//! normalisation rule of `normalizeAddress`.

/// The bare `user@domain` of any form that a client may send: `sip:u@d`, `u@d`,
/// `Name<sip:u@d>`, `"Name" <sip:u@d>`. Port and parameters are cut off.
pub fn bare(text: &str) -> &str {
    let inner = match (text.rfind('<'), text.rfind('>')) {
        (Some(open), Some(close)) if open < close => &text[open + 1..close],
        _ => text,
    };
    let inner = inner.trim();
    let inner = inner
        .strip_prefix("sip:")
        .or_else(|| inner.strip_prefix("sips:"))
        .unwrap_or(inner);
    let end = inner.find(';').unwrap_or(inner.len());
    let inner = &inner[..end];
    match inner.rfind('@') {
        Some(at) => match inner[at..].find(':') {
            Some(colon) => &inner[..at + colon],
            None => inner,
        },
        None => inner,
    }
}

/// The SIP URI of `input` for a user of `domain`: the rule of Kandy.js 3.41
/// (section 1.1).
pub fn normalise(input: &str, domain: &str) -> String {
    let input = input.trim();
    let (local, domain) = match input.rfind('@') {
        Some(at) if at > 0 && at + 1 < input.len() => (&input[..at], &input[at + 1..]),
        _ => (input, domain),
    };
    let local = local.rfind(':').map_or(local, |colon| &local[colon + 1..]);
    format!("sip:{}@{domain}", digits_only_if_a_number(local))
}

/// Removes blanks and separators from a telephone number; anything else stays.
fn digits_only_if_a_number(local: &str) -> String {
    let number = local.trim_start_matches(['#', '+', '*']);
    let prefix = &local[..local.len() - number.len()];
    let is_separator = |c: char| c.is_whitespace() || "-.()+".contains(c);
    let has_digit = number.contains(|c: char| c.is_ascii_digit());
    if has_digit
        && number
            .chars()
            .all(|c| c.is_ascii_digit() || is_separator(c))
    {
        let digits = number.chars().filter(char::is_ascii_digit);
        prefix.chars().chain(digits).collect()
    } else {
        local.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{bare, normalise};

    #[test]
    fn every_row_of_the_normalisation_table_holds() {
        for (input, want) in [
            ("bob", "sip:bob@demo.local"),
            ("bob@demo.local", "sip:bob@demo.local"),
            ("john.doe", "sip:john.doe@demo.local"),
            ("john.doe@demo.local", "sip:john.doe@demo.local"),
            ("user_1@demo.local", "sip:user_1@demo.local"),
            ("sip:bob@demo.local", "sip:bob@demo.local"),
            ("+1 (613) 555-0100", "sip:+16135550100@demo.local"),
            ("613-555-0100@x.org", "sip:6135550100@x.org"),
            ("*98", "sip:*98@demo.local"),
            ("#21", "sip:#21@demo.local"),
            ("a b@demo.local", "sip:a b@demo.local"),
        ] {
            assert_eq!(normalise(input, "demo.local"), want, "{input:?}");
        }
    }

    #[test]
    fn an_at_sign_at_either_end_does_not_split() {
        assert_eq!(normalise("@bob", "d"), "sip:@bob@d");
        assert_eq!(normalise("bob@", "d"), "sip:bob@@d");
    }

    #[test]
    fn every_form_of_an_address_has_one_bare_form() {
        for form in [
            "alice@demo.local",
            "sip:alice@demo.local",
            "Alice<sip:alice@demo.local>",
            "\"Alice A\" <sip:alice@demo.local>",
            "sip:alice@demo.local:5061;transport=tcp",
            "<sip:alice@demo.local;user=phone>",
        ] {
            assert_eq!(bare(form), "alice@demo.local", "{form}");
        }
        assert_eq!(bare("alice"), "alice");
        assert_eq!(bare(">alice<"), ">alice<");
    }
}
