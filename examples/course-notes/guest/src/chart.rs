//! Charts: what a cell comes to that has a `chart`, as a drawing.
//!
//! Owns: reading charts, scales, SVG. Does not know: colours, which are those of the page's style.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::html::Escaped;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;

/// How many colours the style has for series; more of them begin again.
const COLOURS: usize = 6;

/// Names below bars are left out beyond so many.
const MOST_NAMES: usize = 16;

/// A chart.
#[derive(Debug, PartialEq)]
pub struct Chart {
    kind: Kind,
    title: String,
    /// What is written at the axes.
    x: String,
    y: String,
    series: Vec<Series>,
    /// What stands below the axis at 0, 1, and so on; numbers are their own names where there are none.
    names: Vec<String>,
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum Kind {
    Line,
    Dots,
    Bars,
}

#[derive(Debug, PartialEq)]
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

/// How values become places.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

impl Chart {
    /// A chart, if a value is one: `{ chart: [[x, y], …] }` or `{ chart: { name: [[x, y], …], … } }`.
    pub fn of(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = match text("kind").as_str() {
            "" | "line" => Kind::Line,
            "dots" => Kind::Dots,
            "bars" => Kind::Bars,
            _ => return None,
        };
        let all = match fields.get("chart")? {
            Value::Array(points) => vec![(String::new(), points)],
            Value::Object(series) => named(series)?,
            _ => return None,
        };
        let mut names = Vec::new();
        let is_named =
            kind == Kind::Bars || all.iter().any(|(_, points)| points.iter().any(|point| point[0].is_string()));
        let mut series = Vec::new();
        for (name, points) in all {
            let points = points.iter().map(|point| read_point(point, is_named.then_some(&mut names)));
            let points = points.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
            series.push(Series { name, points });
        }
        let is_empty = series.iter().all(|series: &Series| series.points.is_empty());
        (!is_empty).then(|| Self { kind, title: text("title"), x: text("x"), y: text("y"), series, names })
    }

    /// The chart as a figure with a drawing.
    pub fn svg(&self) -> String {
        let label = if self.title.is_empty() { "A chart" } else { &self.title };
        let mut html = String::from("<figure class=\"chart\">\n");
        let _ = writeln!(html, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", Escaped(label));
        let (x, y) = self.scales();
        self.axes(&mut html, &x, &y);
        for (number, series) in self.series.iter().enumerate() {
            let _ = writeln!(html, "<g class=\"series s{}\">", number % COLOURS);
            match self.kind {
                Kind::Line => line(&mut html, &series.points, &x, &y),
                Kind::Dots => dots(&mut html, &series.points, &x, &y),
                Kind::Bars => self.bars(&mut html, number, &x, &y),
            }
            html += "</g>\n";
        }
        html += "</svg>\n";
        self.caption(&mut html);
        html + "</figure>\n"
    }

    fn scales(&self) -> (Scale, Scale) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (x_low, x_high) = if self.names.is_empty() {
            span(points().map(|point| point.0))
        } else {
            (-0.5, self.names.len() as f64 - 0.5)
        };
        let (mut low, mut high) = span(points().map(|point| point.1));
        if self.kind == Kind::Bars {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        // A little air, to where the lines of the grid are.
        let step = step(high - low);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        let x = Scale { low: x_low, high: x_high, from: LEFT, to: WIDTH - RIGHT };
        (x, Scale { low, high, from: HEIGHT - BOTTOM, to: TOP })
    }

    fn axes(&self, html: &mut String, x: &Scale, y: &Scale) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, text) in ticks(y) {
            let at = y.at(value);
            let class = if value == 0.0 { "zero" } else { "grid" };
            let _ = writeln!(html, "<path class=\"{class}\" d=\"M{LEFT} {at:.1}H{right}\"/>");
            let _ = writeln!(html, "<text class=\"y\" x=\"{}\" y=\"{:.1}\">{text}</text>", LEFT - 8.0, at + 4.0);
        }
        let below = if self.names.is_empty() {
            ticks(x)
        } else {
            let every = self.names.len().div_ceil(MOST_NAMES);
            let names = self.names.iter().enumerate().step_by(every);
            names.map(|(at, name)| (at as f64, Escaped(name).to_string())).collect()
        };
        for (value, text) in below {
            let _ = writeln!(html, "<text class=\"x\" x=\"{:.1}\" y=\"{}\">{text}</text>", x.at(value), bottom + 17.0);
        }
        let (middle, x_name, y_name) = ((LEFT + right) / 2.0, Escaped(&self.x), Escaped(&self.y));
        if !self.x.is_empty() {
            let _ = writeln!(html, "<text class=\"x name\" x=\"{middle}\" y=\"{}\">{x_name}</text>", HEIGHT - 8.0);
        }
        if !self.y.is_empty() {
            let middle = (TOP + bottom) / 2.0;
            let turned = format!("translate(14 {middle}) rotate(-90)");
            let _ = writeln!(html, "<text class=\"x name\" transform=\"{turned}\">{y_name}</text>");
        }
    }

    fn bars(&self, html: &mut String, number: usize, x: &Scale, y: &Scale) {
        let group = (x.at(1.0) - x.at(0.0)) * 0.8;
        let width = group / self.series.len() as f64;
        for (at, value) in &self.series[number].points {
            let left = x.at(*at) - group / 2.0 + width * number as f64;
            let (top, bottom) = (y.at(value.max(0.0)), y.at(value.min(0.0)));
            let height = bottom - top;
            let _ = writeln!(
                html,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                width * 0.94
            );
        }
    }

    /// The title, and which colour is which.
    fn caption(&self, html: &mut String) {
        let named: Vec<_> = self.series.iter().enumerate().filter(|(_, series)| !series.name.is_empty()).collect();
        if self.title.is_empty() && named.is_empty() {
            return;
        }
        let _ = write!(html, "<figcaption>{}", Escaped(&self.title));
        for (number, series) in named {
            let _ = write!(html, " <span class=\"key s{}\">{}</span>", number % COLOURS, Escaped(&series.name));
        }
        *html += "</figcaption>\n";
    }
}

fn named(series: &Map<String, Value>) -> Option<Vec<(String, &Vec<Value>)>> {
    series.iter().map(|(name, points)| Some((name.clone(), points.as_array()?))).collect()
}

/// A point, or the place of one that has no number. With names, what it has for x is one of them.
fn read_point(point: &Value, names: Option<&mut Vec<String>>) -> Option<Option<(f64, f64)>> {
    let [x, y] = point.as_array()?.as_slice() else { return None };
    let x = match (x, names) {
        (Value::String(_) | Value::Number(_), Some(names)) => {
            let name = x.as_str().map_or_else(|| x.to_string(), str::to_owned);
            let known = names.iter().position(|known| *known == name);
            Some(known.unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            }) as f64)
        }
        _ => x.as_f64(),
    };
    match y {
        // What is not finite stands as a text, or as null.
        Value::Number(_) | Value::String(_) | Value::Null => Some(x.zip(y.as_f64())),
        _ => None,
    }
}

fn line(html: &mut String, points: &[(f64, f64)], x: &Scale, y: &Scale) {
    let places: Vec<_> = points.iter().map(|point| format!("{:.1},{:.1}", x.at(point.0), y.at(point.1))).collect();
    let _ = writeln!(html, "<polyline points=\"{}\"/>", places.join(" "));
}

fn dots(html: &mut String, points: &[(f64, f64)], x: &Scale, y: &Scale) {
    for point in points {
        let _ = writeln!(html, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", x.at(point.0), y.at(point.1));
    }
}

/// The least and the greatest, apart from each other.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low < high {
        return (low, high);
    }
    let around = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
    (low - around, low + around)
}

/// One, two or five times a power of ten, so that there are about five steps.
fn step(length: f64) -> f64 {
    let power = 10f64.powf((length / 5.0).log10().floor());
    let wanted = length / 5.0 / power;
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| wanted <= *factor * 1.2).unwrap_or(10.0);
    factor * power
}

/// Where a scale has numbers, and these.
fn ticks(scale: &Scale) -> Vec<(f64, String)> {
    let step = step(scale.high - scale.low);
    let digits = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let first = (scale.low / step - 1e-6).ceil();
    let count = (scale.high / step + 1e-6).floor() - first;
    let tick = |number: u8| {
        // Not `-0`.
        let value = (first + f64::from(number)) * step + 0.0;
        let is_plain = step >= 1e-9 && value.abs() < 1e7;
        (value, if is_plain { format!("{value:.digits$}") } else { format!("{value:e}") })
    };
    (0..=count.clamp(0.0, 20.0) as u8).map(tick).collect()
}
