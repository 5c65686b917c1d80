//! The page: all thumbnails with what is known of them, in one file that needs no other.
//!
//! Owns: the page's text and looks. Does not know: how thumbnails are made, or where the page goes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::shrink::{Format, Picture};

/// A photo on the page.
pub struct Shown<'a> {
    /// Its file's name.
    pub name: &'a str,
    /// What is known of it, and its thumbnail's file; or why there is none.
    pub picture: Result<(&'a Picture, &'a [u8]), &'a str>,
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --wrong: light-dark(#a33, #e98); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-weight: 600; margin: 0; }
main { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); margin-top: 1.5rem; }
figure { border: 1px solid var(--line); border-radius: .5rem; margin: 0; overflow: hidden; }
figure div { align-items: center; aspect-ratio: 1; background: #8882; display: flex; justify-content: center; padding: .75rem; }
img { height: auto; max-height: 100%; max-width: 100%; width: auto; }
figcaption { padding: .5rem .75rem; overflow-wrap: anywhere; }
small { color: #888; display: block; }
.wrong div { color: var(--wrong); text-align: center; }
";

/// The page.
pub fn page(title: &str, photos: &[Shown<'_>]) -> String {
    let made = photos.iter().filter(|photo| photo.picture.is_ok()).count();
    let refused = photos.len() - made;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (made) " photos"
                @if refused > 0 { ", and " (refused) " files that are none" }
                main { @for photo in photos { (figure(photo)) } }
            }
        }
    };
    page.into_string()
}

fn figure(photo: &Shown<'_>) -> Markup {
    match photo.picture {
        Ok((picture, file)) => {
            let kind = match picture.format {
                Format::Jpeg => "jpeg",
                Format::Png => "png",
            };
            let source = format!("data:image/{kind};base64,{}", STANDARD.encode(file));
            html! {
                figure {
                    div { img src=(source) width=(picture.thumb.width) height=(picture.thumb.height) alt=(photo.name); }
                    figcaption {
                        (photo.name)
                        small { (picture.photo.width) " x " (picture.photo.height) ", " (picture.bytes.div_ceil(1024)) " KiB, " (kind) }
                    }
                }
            }
        }
        Err(why) => html! {
            figure.wrong {
                div { (why) }
                figcaption { (photo.name) }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_reasons_are_text() {
        let shown = Shown { name: "<b>.jpg", picture: Err("it is <i>no</i> photo") };
        let page = page("a & b", &[shown]);
        assert!(page.contains("&lt;b&gt;.jpg") && page.contains("&lt;i&gt;no&lt;/i&gt;") && page.contains("a &amp; b"));
        assert!(page.contains("0 photos, and 1 files that are none") && !page.contains("http"));
    }
}
