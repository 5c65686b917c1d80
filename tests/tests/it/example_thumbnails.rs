//! `examples/thumbnails`: photos, and files that only look like some.

use serde_json::{Value, json};

use crate::support::{TestSpace, repository};

fn gallery(space: &TestSpace) -> Value {
    serde_json::from_str(&space.read("target/gallery.json")).expect("JSON")
}

#[test]
fn thumbnails_are_made_of_photos_and_bad_files_are_shown() {
    let space = TestSpace::new();
    let example = repository().join("examples/thumbnails");
    let plan = std::fs::read_to_string(example.join("mill.toml")).expect("a plan");
    let guest = example.join("guest").display().to_string();
    space.write("mill.toml", plan.replace("crate = \"guest\"", &format!("crate = '{guest}'")));
    let mut photos = 0;
    for entry in std::fs::read_dir(example.join("photos")).expect("photos") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        space.write(&format!("photos/{name}"), std::fs::read(entry.path()).expect("a file"));
        photos += 1;
    }
    let first = space.jobs(&[]);
    assert_eq!(first.code, 0, "{first:#?}");
    assert_eq!(first.executed().len(), photos + 1);

    let refused = json!([
        { "name": "bomb.png", "why": "it says that it has 60000 x 60000 pixels: 3600 megapixels, and 40 are allowed" },
        { "name": "broken.jpg", "why": gallery(&space)["refused"][1]["why"] },
        { "name": "renamed.png", "why": "it is neither a JPEG nor a PNG" },
    ]);
    assert_eq!(gallery(&space), json!({ "made": photos - 3, "refused": refused }));
    assert!(refused[1]["why"].as_str().expect("a text").starts_with("it cannot be read: "), "{refused}");
    // Four in the first bytes say that it is a JPEG, and the sizes are where they always are in a PNG.
    let sheet = std::fs::read(space.path("target/sheet.jpg")).expect("a sheet");
    assert!(sheet.starts_with(b"\xff\xd8\xff") && sheet.len() > 50_000, "{} bytes", sheet.len());
    let balloon = std::fs::read(space.path("target/thumbs/balloon.png")).expect("a thumbnail");
    let edge = |at: usize| u32::from_be_bytes(balloon[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(edge(16).max(edge(20)), 320);
    let page = space.read("target/index.html");
    assert_eq!(page.matches("src=\"data:image/").count(), photos - 3);
    assert!(page.contains("night sky.jpg") && page.contains("3600 megapixels") && !page.contains("http"));

    assert!(space.jobs(&[]).all("succeeded", true));
    // A photo by another name is known; only what shows names is made again.
    let dunes = std::fs::read(space.path("photos/dunes.jpg")).expect("a photo");
    space.write("photos/<sand>.jpg", dunes);
    assert_eq!(space.jobs(&[]).executed(), ["gallery"]);
    assert_eq!(gallery(&space)["made"], photos - 2);
    assert!(space.read("target/index.html").contains("&lt;sand&gt;.jpg"));
    let (code, events) = space.events(&["verify"]);
    assert_eq!((code, events.last().expect("an end")["same"].as_u64()), (0, Some(photos as u64 + 1)), "{events:#?}");
}
