//! A run on a terminal: a bar that fits, however narrow, and that leaves nothing behind.

use std::process::Command;

use crate::support::{TestSpace, binary};

/// Jobs that come to an end one after the other, and one that takes most of a second.
const PLAN: &str = r#"
    name = "a-plan-with-a-name-of-some-length"
    [modules.work]
    file = "batched.wasm"
    [modules.loop]
    file = "loop_forever.wasm"
    [jobs.each]
    module = "work"
    for-each = { name = { lines = "names" } }
    args = ["{name}"]
    stdin = "line"
    in = { "/items/x/in/leaf" = { text = "spin" } }
    [jobs.a-job-with-a-name-that-is-too-long-for-most-terminals-and-takes-longer-than-the-others-so-that-it-is-shown-below-the-bar]
    module = "loop"
    limits = { timeout = "900ms" }
    retries = { count = 1, backoff = "50ms" }
"#;

fn space() -> TestSpace {
    let space = TestSpace::new();
    space.guest("batched").guest("loop_forever").write("mill.toml", PLAN);
    let names: String = (0..150).map(|at| format!("Häuser 家 {at} and more of a name\n")).collect();
    space.write("names", names).write("line", "{\"args\":[],\"input\":null,\"item\":\"x\"}\n");
    space
}

/// What a terminal shows in the end, row by row.
#[derive(Default)]
struct Screen {
    rows: Vec<String>,
    row: usize,
    column: usize,
    columns: usize,
}

impl Screen {
    /// Knows what the bar needs: to the start of the line, up and down, clearing a line, wrapping at the last column.
    fn of(columns: usize, bytes: &[u8]) -> Self {
        let mut screen = Self { columns, rows: vec![String::new()], ..Self::default() };
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\r' => screen.column = 0,
                '\n' => screen.go(screen.row + 1),
                '\u{1b}' => screen.control(&mut chars),
                char => screen.put(char),
            }
        }
        screen
    }

    fn control(&mut self, chars: &mut std::str::Chars<'_>) {
        assert_eq!(chars.next(), Some('['), "only control sequences of this kind are known");
        let mut number = String::new();
        for char in chars.by_ref() {
            if char.is_ascii_digit() || "?;".contains(char) {
                number.push(char);
                continue;
            }
            let count = number.parse().unwrap_or(1);
            match char {
                'A' => self.row = self.row.checked_sub(count).expect("not above the first row"),
                'B' => self.go(self.row + count),
                'K' => self.rows[self.row].clear(),
                'h' | 'l' | 'm' => {}
                other => panic!("a control sequence that is not known: {number}{other}"),
            }
            return;
        }
    }

    fn go(&mut self, row: usize) {
        self.row = row;
        while self.rows.len() <= row {
            self.rows.push(String::new());
        }
    }

    fn put(&mut self, char: char) {
        let width = if matches!(char, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{9fff}') { 2 } else { 1 };
        if self.column + width > self.columns {
            self.go(self.row + 1);
            self.column = 0;
        }
        let row = &mut self.rows[self.row];
        // What is drawn over a row is as long as what it had, or the row was cleared before.
        let kept: String = row.chars().take(self.column).collect();
        let behind: String = row.chars().skip(self.column + 1).collect();
        *row = format!("{kept}{}{char}{behind}", " ".repeat(self.column.saturating_sub(kept.chars().count())));
        self.column += width;
    }

    fn text(&self) -> String {
        self.rows.iter().map(|row| row.trim_end()).collect::<Vec<_>>().join("\n")
    }
}

/// Runs the plan on a terminal of so many columns; none where there is no `script` to make one with.
fn on_a_terminal(space: &TestSpace, columns: usize, args: &str) -> Option<(i32, Vec<u8>)> {
    let command = format!("stty rows 24 cols {columns}; exec '{}' run {args}", binary().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    space.isolate(&mut script);
    script.env("TERM", "xterm");
    script.current_dir(space.path("")).stdin(std::process::Stdio::null());
    let output = script.output().ok()?;
    Some((output.status.code().unwrap_or(-1), output.stdout))
}

#[test]
fn the_bar_fits_and_leaves_nothing_behind() {
    for columns in [20, 72, 120] {
        let space = space();
        let Some((code, bytes)) = on_a_terminal(&space, columns, "-k") else { return };
        let raw = String::from_utf8_lossy(&bytes);
        assert_eq!(code, 100, "{raw}");
        assert!(!raw.contains("panicked"), "{raw}");
        assert!(raw.contains("/151"), "the bar was drawn: {raw}");
        let screen = Screen::of(columns, &bytes);
        let text = screen.text();
        // Rows that wrapped are one line again.
        let lines = text.replace('\n', "");
        assert!(lines.contains("150 of 151 jobs succeeded, 1 failed"), "{text}");
        assert!(lines.contains("why: new job (151)"), "{text}");
        assert!(lines.contains("details: wasmill show 1"), "{text}");
        assert!(lines.contains("attempt 1: timed out; trying again in "), "{text}");
        for left in ["/151", "━", "─"] {
            assert!(!text.contains(left), "{left:?} of the bar was left behind:\n{text}");
        }
    }
}

/// Between two controls there is at most a row of the bar and a row of names, each as wide as the terminal.
#[test]
fn no_row_of_the_bar_is_longer_than_the_terminal() {
    for columns in [20, 120] {
        let space = space();
        let Some((_, bytes)) = on_a_terminal(&space, columns, "-k") else { return };
        let text = String::from_utf8_lossy(&bytes);
        let (bar, _) = text.split_once("a-plan-with-a-name-of-some-length: ").expect("a summary");
        let pieces = bar.split(['\r', '\n', '\u{1b}']).filter(|piece| piece.contains("/151 "));
        let widest =
            pieces.map(|piece| piece.trim_start_matches("[2K").trim_start_matches("[1A").chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 2 * columns), "{widest:?} on {columns} columns: {bar}");
    }
}

#[test]
fn quiet_draws_no_bar() {
    let space = space();
    let Some((code, bytes)) = on_a_terminal(&space, 80, "-k -q --job each") else { return };
    assert_eq!((code, String::from_utf8_lossy(&bytes).as_ref()), (0, ""));
}

/// Who waits for one long job wants to see which it is, and that time passes.
#[test]
fn the_bar_goes_on_while_nothing_happens() {
    let space = TestSpace::new();
    let plan = "[modules.loop]\nfile = \"loop_forever.wasm\"\n[jobs.endless]\nmodule = \"loop\"\n";
    space.guest("loop_forever").write("mill.toml", format!("{plan}limits = {{ timeout = \"2500ms\" }}\n"));
    let Some((_, bytes)) = on_a_terminal(&space, 100, "-k") else { return };
    let raw = String::from_utf8_lossy(&bytes);
    let (bar, _) = raw.split_once("error: job `endless` timed out").expect("it fails");
    for expected in ["endless 1.", "endless 2."] {
        assert!(bar.contains(expected), "{expected:?} is not in {bar}");
    }
}

#[test]
fn the_screen_of_these_tests_knows_what_a_terminal_does() {
    let screen = |bytes: &str| Screen::of(5, bytes.as_bytes()).text();
    assert_eq!(screen("1234\r\u{1b}[2Kab\n"), "ab\n");
    // What is drawn too wide wraps, and clearing one row leaves the other.
    assert_eq!(screen("1234567\r\u{1b}[2Kab"), "12345\nab");
    assert_eq!(screen("12345xy   \u{1b}[1A\r\u{1b}[2K\u{1b}[1B\r\u{1b}[2K\u{1b}[1Aend"), "end\n");
}
