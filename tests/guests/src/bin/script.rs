//! Does what its arguments say, one after the other, for plans in which it only matters who takes what from whom:
//! `write PATH TEXT`, `join DIR PATH` (the texts of all files below a directory, by name, one line each), `copy FROM PATH`,
//! `do PATH` (what the words of that file say), `fail`, `spin` (for ever).

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    obey(&mut std::env::args().skip(1))
}

fn obey(args: &mut dyn Iterator<Item = String>) -> std::io::Result<()> {
    while let Some(command) = args.next() {
        let mut next = || args.next().unwrap_or_default();
        match command.as_str() {
            "write" => write(&next(), next().as_bytes())?,
            "copy" => {
                let content = fs::read(next())?;
                write(&next(), &content)?;
            }
            "join" => {
                let mut text = String::new();
                join(Path::new(&next()), &mut text)?;
                write(&next(), text.as_bytes())?;
            }
            "do" => obey(&mut fs::read_to_string(next())?.split_whitespace().map(str::to_owned))?,
            "fail" => std::process::exit(7),
            "spin" => loop {
                std::hint::black_box(&command);
            },
            other => panic!("there is no command {other}"),
        }
    }
    Ok(())
}

fn write(path: &str, content: &[u8]) -> std::io::Result<()> {
    let path = Path::new("/out").join(path);
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    fs::write(path, content)
}

fn join(dir: &Path, text: &mut String) -> std::io::Result<()> {
    let mut paths: Vec<_> = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            join(&path, text)?;
        } else {
            text.push_str(fs::read_to_string(&path)?.trim_end());
            text.push('\n');
        }
    }
    Ok(())
}
