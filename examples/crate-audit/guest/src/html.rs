//! The report as one page that needs nothing else: no network, no other file.
//!
//! Owns: how it looks. Does not know: where the numbers come from. Names, licences and messages are the crates'
//! own words, so all text goes through [`escape`].

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};

use crate::reduce::Report;
use crate::scan::Scan;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How many crates the chart shows: as many as can be read at a glance.
const BARS_MAX: usize = 20;

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail, so there is nothing to handle.
    let _ = write_page(&mut page, report);
    page
}

fn write_page(page: &mut String, report: &Report) -> fmt::Result {
    let title = escape(&report.title);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    )?;
    tiles(page, report)?;
    page.push_str("<div class=\"charts\">\n");
    chart(page, "Most Rust code", "lines of code", &top(&report.crates, rust_code))?;
    chart(page, "Most unsafe", "unsafe blocks, functions, impls, traits", &top(&report.crates, unsafe_total))?;
    page.push_str("</div>\n");
    table(page, &report.crates)?;
    problems(page, report)?;
    languages(page, report)?;
    write!(page, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n")
}

/// The sums, one in each tile.
fn tiles(page: &mut String, report: &Report) -> fmt::Result {
    let totals = &report.totals;
    let rust = totals.languages.get("Rust").copied().unwrap_or_default();
    let tiles = [
        ("crates", totals.crates, String::new()),
        ("lines of Rust", rust.code, format!("{} files", grouped(rust.files))),
        ("functions", totals.syntax.functions, format!("{} impls", grouped(totals.syntax.impls))),
        ("unsafe", totals.syntax.unsafe_total(), format!("in {} crates", grouped(totals.with_unsafe))),
        ("build scripts", totals.build_scripts, "on the host".to_owned()),
        ("proc-macros", totals.proc_macros, "in the compiler".to_owned()),
        ("without licence", totals.without_licence, format!("{} wordings", totals.licences.len())),
        ("problems", totals.problems, "files left out".to_owned()),
    ];
    page.push_str("<dl class=\"tiles\">\n");
    for (label, number, note) in tiles {
        let number = grouped(number);
        writeln!(page, "<div><dt>{label}</dt><dd>{number}</dd><dd class=\"note\">{note}</dd></div>")?;
    }
    page.push_str("</dl>\n");
    Ok(())
}

fn rust_code(scan: &Scan) -> u64 {
    scan.lines.get("Rust").map_or(0, |lines| lines.code)
}

fn unsafe_total(scan: &Scan) -> u64 {
    scan.syntax.unsafe_total()
}

/// The crates with the most of something, those of equal number by name.
fn top(crates: &[Scan], number: impl Fn(&Scan) -> u64) -> Vec<(&str, u64)> {
    let mut bars: Vec<_> = crates.iter().map(|scan| (scan.name.as_str(), number(scan))).collect();
    bars.retain(|&(_, number)| number > 0);
    bars.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    bars.truncate(BARS_MAX);
    bars
}

/// A bar chart, the longest bar first.
fn chart(page: &mut String, heading: &str, unit: &str, bars: &[(&str, u64)]) -> fmt::Result {
    const ROW: usize = 22;
    const LABEL: usize = 190;
    const BAR: u64 = 300;
    const WIDTH: u64 = LABEL as u64 + BAR + 80;
    let Some(&(_, longest)) = bars.first() else { return Ok(()) };
    let height = bars.len() * ROW;
    writeln!(
        page,
        "<figure>\n<figcaption>{heading} <span>{unit}</span></figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{heading}\">"
    )?;
    for (row, &(name, number)) in bars.iter().enumerate() {
        let (top, middle) = (row * ROW + 3, row * ROW + ROW / 2);
        let width = (u128::from(number) * u128::from(BAR) / u128::from(longest)).max(2);
        let (full, label) = (escape(name), escape(&shortened(name, 28)).to_string());
        writeln!(
            page,
            "<g><title>{full}: {count}</title><text class=\"name\" x=\"{label_end}\" y=\"{middle}\">{label}</text>\
             <rect x=\"{LABEL}\" y=\"{top}\" width=\"{width}\" height=\"16\" rx=\"2\"/>\
             <text class=\"count\" x=\"{count_start}\" y=\"{middle}\">{count}</text></g>",
            label_end = LABEL - 8,
            count_start = LABEL as u128 + width + 6,
            count = grouped(number),
        )?;
    }
    page.push_str("</svg>\n</figure>\n");
    Ok(())
}

/// One row for each crate; a click on a heading sorts by it.
fn table(page: &mut String, crates: &[Scan]) -> fmt::Result {
    page.push_str(
        "<div class=\"bar\"><h2>Crates</h2><input id=\"filter\" type=\"search\" placeholder=\"Filter by name, licence, \
         build script …\" aria-label=\"Filter\"><output id=\"shown\"></output></div>\n<div class=\"scroll\">\n\
         <table id=\"crates\">\n<thead><tr>",
    );
    let columns = [
        ("Crate", false),
        ("Licence", false),
        ("Rust code", true),
        ("Comments", true),
        ("Other code", true),
        ("Functions", true),
        ("Impls", true),
        ("unsafe", true),
        ("Runs at build", false),
        ("Problems", true),
    ];
    for (name, is_number) in columns {
        let class = if is_number { " class=\"number\"" } else { "" };
        write!(page, "<th{class} scope=\"col\"><button type=\"button\">{name}</button></th>")?;
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for scan in crates {
        row(page, scan)?;
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
    Ok(())
}

fn row(page: &mut String, scan: &Scan) -> fmt::Result {
    let version = scan.version.as_deref().unwrap_or("");
    let name = scan.name.strip_suffix(version).and_then(|name| name.strip_suffix('-')).unwrap_or(&scan.name);
    let rust = scan.lines.get("Rust").copied().unwrap_or_default();
    let other = scan.lines.values().map(|lines| lines.code).sum::<u64>() - rust.code;
    let syntax = &scan.syntax;
    write!(page, "<tr><th scope=\"row\">{} <span>{}</span></th>", escape(name), escape(version))?;
    let licence = match (&scan.licence, scan.licence_files.as_slice()) {
        (Some(licence), _) => licence.clone(),
        (None, []) => "none".to_owned(),
        (None, files) => files.join(", "),
    };
    let files = scan.licence_files.join(", ");
    write!(
        page,
        "<td class=\"licence\" title=\"{} ({})\">{}</td>",
        escape(&licence),
        escape(&files),
        escape(&licence)
    )?;
    for number in [rust.code, rust.comment, other, syntax.functions, syntax.impls] {
        number_cell(page, number, "", "")?;
    }
    let kinds = format!(
        "{} blocks, {} functions, {} impls, {} traits",
        syntax.unsafe_blocks, syntax.unsafe_functions, syntax.unsafe_impls, syntax.unsafe_traits
    );
    number_cell(page, syntax.unsafe_total(), " warn", &kinds)?;
    page.push_str("<td class=\"build\">");
    if scan.proc_macro {
        page.push_str("<span class=\"chip\">proc-macro</span>");
    }
    for script in &scan.build_scripts {
        write!(page, "<span class=\"chip\">{}</span>", escape(&script.path))?;
        for (module, (count, paths)) in by_module(&script.uses) {
            let (title, module) = (escape(&paths), escape(module));
            write!(page, "<span class=\"chip {module}\" title=\"{title}\">{module} {count}</span>")?;
        }
    }
    page.push_str("</td>");
    let problems: Vec<_> = scan.problems.iter().map(|problem| problem.file.as_str()).collect();
    number_cell(page, problems.len() as u64, " warn", &problems.join(", "))?;
    page.push_str("</tr>\n");
    Ok(())
}

fn number_cell(page: &mut String, number: u64, class: &str, title: &str) -> fmt::Result {
    if number == 0 {
        return page.write_str("<td class=\"number zero\" data-by=\"0\">0</td>");
    }
    write!(page, "<td class=\"number{class}\" data-by=\"{number}\"")?;
    if !title.is_empty() {
        write!(page, " title=\"{}\"", escape(title))?;
    }
    write!(page, ">{}</td>", grouped(number))
}

/// From `std::env::var` → 2 and the like to `env` → 2 with the paths in words.
fn by_module(uses: &BTreeMap<String, u64>) -> BTreeMap<&str, (u64, String)> {
    let mut modules = BTreeMap::<&str, (u64, String)>::new();
    for (path, count) in uses {
        let (total, paths) = modules.entry(path.split("::").nth(1).unwrap_or(path)).or_default();
        *total += count;
        let _ = writeln!(paths, "{path} × {count}");
    }
    modules
}

/// What could not be looked at.
fn problems(page: &mut String, report: &Report) -> fmt::Result {
    if report.totals.problems == 0 {
        return Ok(());
    }
    writeln!(page, "<details open><summary>Problems ({})</summary>\n<ul class=\"problems\">", report.totals.problems)?;
    for problem in &report.unread {
        let (name, what) = (escape(&problem.file), escape(&problem.what));
        writeln!(page, "<li><b>{name}</b>: the scan cannot be used: {what}</li>")?;
    }
    for scan in &report.crates {
        for problem in &scan.problems {
            let (name, file, what) = (escape(&scan.name), escape(&problem.file), escape(&problem.what));
            writeln!(page, "<li><b>{name}</b> <code>{file}</code>: {what}</li>")?;
        }
    }
    page.push_str("</ul>\n</details>\n");
    Ok(())
}

/// Lines of every language, over all crates.
fn languages(page: &mut String, report: &Report) -> fmt::Result {
    page.push_str(
        "<details><summary>Languages</summary>\n<table class=\"plain\">\n<thead><tr><th>Language</th>\
         <th class=\"number\">Files</th><th class=\"number\">Code</th><th class=\"number\">Comments</th>\
         <th class=\"number\">Blank</th></tr></thead>\n<tbody>\n",
    );
    for (language, lines) in &report.totals.languages {
        write!(page, "<tr><th scope=\"row\">{}</th>", escape(language))?;
        for number in [lines.files, lines.code, lines.comment, lines.blank] {
            number_cell(page, number, "", "")?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str(
        "</tbody>\n</table>\n<p>Comments are told apart in Rust and in languages with C's comments; elsewhere they \
         count as code.</p>\n</details>\n",
    );
    Ok(())
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A text of at most so many characters.
fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some(_) => text.chars().take(chars_max - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// Text that stands for itself in HTML, in an attribute in double quotes too.
fn escape(text: &str) -> impl Display + '_ {
    Escaped(text)
}

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                char => formatter.write_char(char)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reduce::reduce;
    use crate::scan::{BuildScript, Problem};

    #[test]
    fn nothing_of_a_crate_becomes_markup() {
        let evil = "</script><img src=x onerror=\"a\">'&";
        let scan = Scan {
            name: evil.to_owned(),
            version: Some(evil.to_owned()),
            licence: Some(evil.to_owned()),
            licence_files: vec![evil.to_owned()],
            build_scripts: vec![BuildScript { path: evil.to_owned(), uses: [(evil.to_owned(), 1)].into() }],
            lines: [("Rust".to_owned(), crate::lines::Lines { code: 3, ..Default::default() })].into(),
            problems: vec![Problem { file: evil.to_owned(), what: evil.to_owned() }],
            ..Scan::default()
        };
        let unread = Err(wasmill_sdk::Error::msg(evil));
        let page = page(&reduce(evil.to_owned(), [("a".to_owned(), Ok(scan)), (evil.to_owned(), unread)].into_iter()));
        assert!(!page.contains("<img"), "{page}");
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(page.contains("&lt;img src=x onerror=&quot;a&quot;&gt;&#39;&amp;"));
    }

    #[test]
    fn a_page_without_crates_is_still_a_page() {
        let page = page(&reduce("none".to_owned(), std::iter::empty()));
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert!(!page.contains("<svg"));
    }

    #[test]
    fn the_chart_is_sorted_and_cut() {
        let scans: Vec<_> = (0..30u64)
            .map(|number| Scan {
                name: format!("c{number:02}"),
                lines: [("Rust".to_owned(), crate::lines::Lines { code: number / 2, ..Default::default() })].into(),
                ..Scan::default()
            })
            .collect();
        let bars = top(&scans, rust_code);
        assert_eq!((bars.len(), bars[0], bars[1]), (BARS_MAX, ("c28", 14), ("c29", 14)));
    }

    #[test]
    fn numbers_and_names_are_made_readable() {
        let numbers = [0, 999, 1000, 1_234_567].map(|number| grouped(number).replace('\u{202f}', " "));
        assert_eq!(numbers, ["0", "999", "1 000", "1 234 567"]);
        assert_eq!((shortened("short", 5), shortened("längerer", 5)), ("short".to_owned(), "läng…".to_owned()));
    }
}
