//! What pages load beside themselves: our own style, script and picture, under names that change with what is in them,
//! so that a browser keeps them for good and never has an old one.

use std::sync::OnceLock;

use bellwether_connectors::server::reply::Reply;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

/// Where they are.
const FOLDER: &str = "/page/assets/";
/// For a year, which is as long as may be said.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// A file that is a part of the program.
pub(crate) struct Asset {
    name: &'static str,
    ending: &'static str,
    media: &'static str,
    text: &'static str,
    url: OnceLock<String>,
}

impl Asset {
    const fn new(name: &'static str, ending: &'static str, media: &'static str, text: &'static str) -> Asset {
        Asset { name, ending, media, text, url: OnceLock::new() }
    }

    /// What is in it.
    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        let url = || format!("{FOLDER}{}-{:016x}.{}", self.name, xxh3_64(self.text.as_bytes()), self.ending);
        self.url.get_or_init(url)
    }
}

/// How everything looks.
pub(crate) static STYLE: Asset = Asset::new("page", "css", "text/css; charset=utf-8", include_str!("assets/page.css"));
/// What a page does when it may.
pub(crate) static SCRIPT: Asset =
    Asset::new("page", "js", "text/javascript; charset=utf-8", include_str!("assets/page.js"));
/// The bell.
pub(crate) static ICON: Asset = Asset::new("bell", "svg", "image/svg+xml", include_str!("assets/bell.svg"));

/// The asset at `path`.
pub(crate) fn at(path: &str) -> Option<Reply> {
    let asset = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.url() == path)?;
    let headers = vec![("content-type", asset.media.to_owned()), ("cache-control", FOR_GOOD.to_owned())];
    Some(Reply { status: 200, headers, body: Bytes::from_static(asset.text.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_stays_small() {
        assert!(SCRIPT.text.len() < 40 << 10, "{} bytes", SCRIPT.text.len());
        assert!(at(STYLE.url()).is_some() && at("/page/assets/../../Cargo.toml").is_none());
    }
}
