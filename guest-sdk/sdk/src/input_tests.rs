//! What parameters are read from, piece by piece.

use std::collections::BTreeMap;

use super::*;

fn take<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    let mut inputs = Inputs::new(json.as_bytes().to_vec(), "/nowhere/at/all").expect("an object");
    inputs.take("it").map_err(|failure| match failure {
        Failure::Input(wrong) => wrong,
        other => panic!("{other:?}"),
    })
}

#[test]
fn whatever_serde_can_read_is_read() {
    assert_eq!(take::<(u8, String)>(r#"{"it": [1, "two"]}"#), Ok((1, "two".to_owned())));
    assert_eq!(take::<Option<Vec<f64>>>(r#"{"it": [0.1]}"#), Ok(Some(vec![0.1])));
    assert_eq!(take::<Option<u8>>("{}"), Ok(None));
    assert_eq!(take::<()>("{}"), Ok(()));
    assert_eq!(take::<BTreeMap<String, bool>>(r#"{"it": {"a": true}}"#), Ok(BTreeMap::from([("a".to_owned(), true)])));
    assert_eq!(take::<serde_json::Value>(r#"{"it": {"a": [null]}}"#), Ok(serde_json::json!({ "a": [null] })));
    assert_eq!(take::<u64>(r#"{"it": 18446744073709551615}"#), Ok(u64::MAX));
}

#[test]
fn what_does_not_fit_is_told_where() {
    let wrong = take::<BTreeMap<String, Vec<u8>>>(r#"{"it": {"a": [1, 300]}}"#).expect_err("300 is no u8");
    assert!(wrong.starts_with("`it`, `a[1]`: invalid value"), "{wrong}");
}
