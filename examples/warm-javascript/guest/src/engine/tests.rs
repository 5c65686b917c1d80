//! Scripts that do well and scripts that do not.

use serde_json::json;

use super::*;

fn run(script: &str) -> Result<Value, String> {
    Engine::new().unwrap().run("s.js", script, Some("a,b\n1,2\n"), "7")
}

#[test]
fn a_script_comes_to_its_result_or_its_last_value() {
    for (script, value) in [
        ("1 + 1", json!(2)),
        ("let result = { b: [1, null], a: 'x' }; 5", json!({"b": [1, null], "a": "x"})),
        ("globalThis.result = 3;", json!(3)),
        ("let x = 5;", json!(null)),
        ("2; let x = 5;", json!(2)),
        ("", json!(null)),
        ("'use strict'", json!("use strict")),
        ("function f() { return 4 } f()", json!(4)),
        ("() => 1", json!(null)),
        ("data.length", json!(8)),
        ("Papa.parse(data.trim(), { header: true }).data", json!([{"a": "1", "b": "2"}])),
        ("[_.sum([1, 2]), ss.mean([1, 2]), Mustache.render('{{x}}', { x: 1 })]", json!([3, 1.5, "1"])),
        ("dayjs('2024-02-28').add(2, 'day').format('D.M.YYYY')", json!("1.3.2024")),
    ] {
        assert_eq!(run(script), Ok(value), "{script}");
    }
}

#[test]
fn statements_are_marked_wherever_they_stand() {
    let script = "#!/usr/bin/env node
        var found = [];
        if (1) found.push('if'); else found.push('else')
        if (0) ; else if (1) { found.push('else if') } else found.push('else')
        for (const x of ['for']) found.push(x)
        let n = 0
        do n++; while (n < 3) found.push(n)
        outer: for (;;) { for (;;) break outer }
        switch (n) { case 3: found.push('case'); break; default: found.push('default') }
        class C { static { found.push('static') } get x() { return 'getter' } }
        found.push(new C().x)
        const arrow = x => x + 1, block = x => { return x + 2 }
        found.push(arrow(1), block(1))
        try { throw 1 } catch { found.push('catch') } finally { found.push('finally') }
        found.push(`${(() => { return 'template' })()}`)
        ;(function () { 'use strict'; found.push(this === undefined) })()
        found";
    let expected =
        json!(["if", "else if", "for", 3, "case", "static", "getter", 2, 3, "catch", "finally", "template", true]);
    assert_eq!(run(script), Ok(expected.clone()));
    let finder = Realm::new(Some(PARSER)).unwrap();
    let marked = finder.call("mark", &[JsString::from(script).into()], &mut finder.context.borrow_mut()).unwrap();
    let marked = marked.as_string().unwrap().to_std_string_escaped();
    assert!(marked.matches("__line=").count() > 30, "{marked}");
    assert_eq!(run(&marked), Ok(expected));
}

#[test]
fn an_error_names_the_script_and_the_line() {
    for (script, error) in [
        ("let a = 1;\nlet b = ;", "s.js:2: SyntaxError: "),
        ("\n\nnull.x", "s.js:3: TypeError: "),
        ("function f() {\n  throw new RangeError('far');\n}\nf()", "s.js:2: RangeError: far"),
        ("[1].map(x => {\n  y;\n})", "s.js:2: ReferenceError: y is not defined"),
        ("throw { code: 3 }", "s.js:1: {\"code\":3}"),
        ("throw undefined", "s.js:1: undefined"),
        ("const result = 1n", "s.js:1: TypeError: "),
        ("const result = []; result[0] = result", "s.js:1: TypeError: "),
    ] {
        let said = run(script).unwrap_err();
        assert!(said.starts_with(error), "{script}: {said}");
    }
}

#[test]
fn calls_have_a_greatest_depth() {
    for script in ["function f() { f() } f()", "function f() { [1].map(f) } f()"] {
        let said = run(script).unwrap_err();
        assert!(said.contains("recursive calls"), "{said}");
    }
}

#[test]
fn random_numbers_come_from_the_seed() {
    let draw = |seed| Engine::new().unwrap().run("s.js", "[Math.random(), Math.random()]", None, seed).unwrap();
    assert_eq!(draw("1"), draw("1"));
    assert_ne!(draw("1"), draw("2"));
    let mean = Engine::new().unwrap().run("s.js", "ss.mean(_.times(10000, Math.random))", None, "").unwrap();
    assert!((mean.as_f64().unwrap() - 0.5).abs() < 0.01, "{mean}");
}
