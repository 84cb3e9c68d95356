//! Free names and values that travel with a call (protocol sections 5.1 and 5.12).

use super::notice::cut;
use crate::call::Parameter;
use crate::wire::CustomParameter;

/// How many are taken; as many as the embedded gateway lets through (our choice).
const MOST: usize = 32;

/// What a peer sent: as text for people, the first 32 of them.
pub(super) fn taken(parameters: Vec<CustomParameter>) -> Vec<Parameter> {
    let parameters = parameters.into_iter().take(MOST);
    let parameters = parameters.map(|parameter| Parameter {
        name: cut(&parameter.name),
        value: cut(&parameter.value),
    });
    parameters.filter(|p| !p.name.is_empty()).collect()
}

/// What we send; a control character could end a header on the way.
pub(super) fn sent(parameters: &[Parameter]) -> Vec<CustomParameter> {
    let parameters = parameters.iter().map(|parameter| CustomParameter {
        name: cut(&parameter.name),
        value: cut(&parameter.value),
    });
    parameters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_sends_is_bounded_and_has_no_control_characters() {
        let parameter = |name: &str, value: String| CustomParameter {
            name: name.to_owned(),
            value,
        };
        let mut many = vec![
            parameter("X-Door\r\n", "Front\u{7}door".to_owned()),
            parameter("", "nameless".to_owned()),
        ];
        many.resize(50, parameter("X-Long", "x".repeat(10_000)));
        let taken = taken(many);
        assert_eq!(taken.len(), 31);
        assert_eq!(taken[0].name, "X-Door");
        assert_eq!(taken[0].value, "Frontdoor");
        assert!(taken.iter().all(|p| p.value.len() <= 128));
    }

    #[test]
    fn debug_shows_no_value() {
        let parameter = Parameter {
            name: "X-Key".to_owned(),
            value: "hunter2".to_owned(),
        };
        assert_eq!(format!("{parameter:?}"), "Parameter(X-Key)");
    }
}
