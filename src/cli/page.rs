//! `bellwether page`: what a run knew, to be looked at in a browser.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bellwether_connectors::limits::Limits;
use bellwether_connectors::server::auth::{Auth, AuthConfig};
use bellwether_connectors::server::http::{HttpRouter, serve};
use bellwether_connectors::{Intake, RejectLog};
use clap::Args;
use tokio::net::TcpListener;

use super::state_folder::StateArgs;
use crate::exit::{Exit, UsageError};
use crate::page::Page;
use crate::term::{Ink, Term};
use crate::wiring::gauges::Gauges;
use crate::wiring::memory::MemoryJournal;

/// Look at what a run knew in a browser: a copied state folder, or one that is at work
#[derive(Debug, Args)]
#[command(after_help = "\
It shows the incident log and the newest checkpoint as they are at the start, changes nothing, and
listens on this machine alone until Ctrl-C. A run that goes on serves its own page, which is live:
`page: {}` in its configuration.

Examples:
  bellwether page --from bellwether-state
  bellwether page -c bellwether.yaml --listen 127.0.0.1:8080")]
pub(super) struct PageArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Address and port, on this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9098")]
    listen: SocketAddr,
}

/// Serves until Ctrl-C.
///
/// # Errors
/// When there is no checkpoint, it cannot be read, or the address is taken.
pub(super) fn run(args: &PageArgs) -> Result<Exit> {
    let folder = args.state.folder()?;
    let newest = folder.newest()?;
    let told = format!("what {} knew", folder.state.display());
    let page = Page::finished(newest.engine, Arc::new(Gauges::default()), told);
    let logs: Vec<_> = folder.places.iter().map(|place| place.log.clone()).collect();
    page.recall(&logs);
    page.recall_words(&folder.state);
    let journals: Vec<_> = folder.places.iter().map(|place| place.journal.clone()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        page.recall_points(&journals).await;
        until_interrupted(page, args.listen).await
    })?;
    runtime.shutdown_background();
    Ok(Exit::Ok)
}

/// Serves a page of the past at `listen` until Ctrl-C, and says where.
///
/// # Errors
/// When the address is taken, or others could reach it.
pub(super) async fn until_interrupted(page: Arc<Page>, listen: SocketAddr) -> Result<()> {
    if !listen.ip().is_loopback() {
        let message =
            format!("`{listen}` can be reached by others, and whoever looks needs no credential: listen on 127.0.0.1");
        return Err(UsageError(message).into());
    }
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on `{listen}`"))?;
    let term = Term::stdout();
    let address = format!("http://{}/page", listener.local_addr()?);
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}  {}", term.paint(Ink::Bold, &address), term.paint(Ink::Dim, "until Ctrl-C"))?;
        out.flush()?;
    }
    let auth = Arc::new(Auth::new(&AuthConfig::default())?);
    let router = Arc::new(HttpRouter::new(auth, Limits::default(), Vec::new())?);
    router.hosts(page);
    // Nothing is taken in here.
    let nowhere = Intake::new(Arc::new(MemoryJournal::default()), RejectLog::counting());
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(router, nowhere, listener, None, stop).await;
    Ok(())
}
