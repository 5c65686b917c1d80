//! Adds up the numbers from LOW to HIGH (its arguments), and leaves the sum in `/out/sum`. Where there are more than four, it
//! yields a plan in which two jobs like itself do a half each.

use std::fs;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "add" {
        let sums = ["/in/left", "/in/right"].map(|path| fs::read_to_string(path).unwrap().parse::<u64>().unwrap());
        return fs::write("/out/sum", (sums[0] + sums[1]).to_string());
    }
    let (low, high): (u64, u64) = (args[1].parse().unwrap(), args[2].parse().unwrap());
    if high - low <= 4 {
        return fs::write("/out/sum", (low..high).sum::<u64>().to_string());
    }
    let middle = low.midpoint(high);
    let half =
        |low: u64, high: u64| format!(r#"{{ "module": "sum", "args": ["{low}", "{high}"], "yields": "plan.json" }}"#);
    let (left, right) = (half(low, middle), half(middle, high));
    fs::write(
        "/out/plan.json",
        format!(
            r#"{{
              "jobs": {{
                "left": {left},
                "right": {right},
                "add": {{
                  "module": "sum", "args": ["add"],
                  "in": {{ "/in/left": {{ "job": "left", "path": "sum" }}, "/in/right": {{ "job": "right", "path": "sum" }} }}
                }}
              }},
              "result": {{ "job": "add" }}
            }}"#
        ),
    )
}
