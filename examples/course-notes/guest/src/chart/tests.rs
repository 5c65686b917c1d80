//! Values that are charts, and values that are not.

use serde_json::json;

use super::*;

#[test]
fn points_become_places() {
    let chart =
        Chart::of(&json!({"chart": [[0, 0], [5, "NaN"], [10, 100]], "title": "<t>", "x": "n", "y": "n²"})).unwrap();
    let svg = chart.svg();
    assert!(svg.contains("<polyline points=\"62.0,254.0 616.0,14.0\"/>"), "{svg}");
    assert!(svg.contains("&lt;t&gt;") && svg.contains(">n</text>") && svg.contains(">n²</text>"), "{svg}");
    for tick in [">0</text>", ">20</text>", ">100</text>", ">10</text>"] {
        assert!(svg.contains(tick), "{tick}: {svg}");
    }
}

#[test]
fn series_have_names_and_colours() {
    let svg = Chart::of(&json!({"chart": {"one": [[1, 2]], "two": [[1, 3], [2, 4]]}, "kind": "dots"})).unwrap().svg();
    assert_eq!(svg.matches("<circle").count(), 3);
    assert!(svg.contains("<span class=\"key s1\">two</span>"), "{svg}");
}

#[test]
fn bars_have_names_below_and_begin_at_zero() {
    let chart = Chart::of(&json!({"chart": [["Mon", 3], [2, -1]], "kind": "bars"})).unwrap();
    assert_eq!(chart.names, ["Mon", "2"]);
    let svg = chart.svg();
    assert_eq!((svg.matches("<rect").count(), svg.matches("class=\"zero\"").count()), (2, 1), "{svg}");
}

#[test]
fn odd_charts_are_none_or_harmless() {
    for value in [
        json!({"chart": 5}),
        json!({"chart": []}),
        json!({"chart": {}}),
        json!({"chart": [1, 2]}),
        json!({"chart": [[1, 2, 3]]}),
        json!({"chart": [[1, {}]]}),
        json!({"chart": [[1, "NaN"]]}),
        json!({"chart": {"a": 1}}),
        json!({"chart": [[1, 2]], "kind": "pie"}),
        json!([[1, 2]]),
    ] {
        assert_eq!(Chart::of(&value), None, "{value}");
    }
    for points in
        [json!([[1, 1]]), json!([[0, 0], [0, 0]]), json!([[1e300, -1e300], [-1e300, 1e300]]), json!([[1, 1e-300]])]
    {
        let svg = Chart::of(&json!({ "chart": points })).unwrap().svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
