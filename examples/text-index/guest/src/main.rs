//! The jobs that make a search index and ask it: `cut`, `index`, `merge`, `query` and `page`.
//!
//! Owns: the jobs' inputs and outputs. Does not know: how many shards there are, which of them are known already, or what
//! runs at once; all that is wasmill's, by the plan in `mill.toml`.

mod build;
mod cut;
mod document;
mod page;
mod query;
mod roff;
mod segment;
mod snippet;
mod words;

use std::io::BufWriter;

use wasmill_sdk::prelude::*;

use cut::Found;
use page::{Contents, Page};
use query::Answer;
use segment::{LeftOut, Segment};

/// The name of a segment among a job's outputs.
const INDEX: &str = "text.index";

/// How a corpus was cut.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct Cut {
    /// The names of the shards.
    shards: Vec<String>,
    /// How many files there are in them.
    files: u64,
    /// What is in none of them.
    left_out: Vec<LeftOut>,
}

/// What a shard came to.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct Shard {
    documents: u64,
    left_out: u64,
    terms: u64,
    index_bytes: u64,
}

/// Sorts the files of a corpus into shards: `shards/NAME/PATH` for each.
#[job]
fn cut(corpus: Dir, shard_bytes: u64) -> Result<Cut> {
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    for entry in corpus.walk() {
        let entry = entry?;
        let path = entry.relative().to_owned();
        let mut leave_out = |why: String| left_out.push(LeftOut { path: path.clone(), why });
        if !entry.is_file() {
            leave_out("not a file but a link".to_owned());
            continue;
        }
        match entry.file().size_bytes()? {
            bytes if bytes > document::FILE_BYTES_MAX => leave_out(document::too_large()),
            bytes => files.push(Found { path, bytes }),
        }
    }
    let (mut done, total) = (0, files.len() as u64);
    let shards = cut::shards(files, shard_bytes);
    for (name, files) in &shards {
        // An empty corpus has an empty shard.
        std::fs::create_dir_all(format!("/out/shards/{name}"))?;
        for file in files {
            out::write(format!("shards/{name}/{}", file.path), corpus.read(&file.path)?)?;
            done += 1;
            progress(done, total);
        }
    }
    log::info!("{total} files in {} shards", shards.len());
    Ok(Cut { shards: shards.into_iter().map(|(name, _)| name).collect(), files: total, left_out })
}

/// Makes an index of one shard.
#[job]
fn index(shard: Dir) -> Result<Shard> {
    let written = build::shard(&shard, BufWriter::new(out::create(INDEX)?))?;
    let (documents, left_out) = (written.catalogue.documents.len() as u64, written.catalogue.left_out.len() as u64);
    Ok(Shard { documents, left_out, terms: written.terms, index_bytes: written.bytes })
}

/// Makes one index of those of all shards.
#[job]
fn merge(cut: Cut, shards: Dir) -> Result<Contents> {
    let mut segments = Vec::new();
    for shard in shards.entries()? {
        segments.push(shard.file().read()?);
    }
    let written = build::merge(segments, cut.left_out, BufWriter::new(out::create(INDEX)?))?;
    Ok(Contents::of(written))
}

/// Asks an index.
#[job]
fn query(index: File, query: String) -> Result<Answer> {
    let mut segment = Segment::open(index.open()?).context("failed to open the index")?;
    let answer = query::answer(&mut segment, query)?;
    println!("{answer}");
    Ok(answer)
}

/// Puts all answers on one page, and into a file for people and one for programs.
#[job]
fn page(answers: Each<Answer>, queries: Text, contents: Contents) -> Result<()> {
    let answers = answers.iter()?.map(|(_, answer)| answer).collect::<Result<Vec<_>>>()?;
    let page = Page { contents, answers: page::in_order(answers, &queries) };
    out::write("answers.html", page.html())?;
    out::write("answers.txt", page.text())?;
    let mut json = serde_json::to_vec_pretty(&page).context("failed to write the answers as JSON")?;
    json.push(b'\n');
    out::write("answers.json", json)
}

wasmill_sdk::main!();
