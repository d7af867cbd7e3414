//! Development peers for the demo: a certificate authority, an identity provider, tokens, a service to protect.
//!
//! `cargo run --example dev-peers -- --help`. Not for production; nothing here is part of the shipped program.
//!
//! Servers print one line of JSON once they listen, and end on SIGTERM, SIGINT, or when their standard input closes,
//! so that they never outlive what started them.

mod domains;
mod peers;

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;

use anyhow::Context;
use anyhow::Result;
use clap::Parser;
use clap::Subcommand;
use serde_json::Value as Json;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::oneshot;

use crate::domains::Domains;
use crate::domains::Workloads;
use crate::peers::certs;
use crate::peers::issuer::Issuer;
use crate::peers::token::SigningKey;
use crate::peers::token::TokenRequest;
use crate::peers::upstream;

/// Development peers: never for production.
#[derive(Debug, Parser)]
#[command(about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fill a folder with a throw-away authority, two agents' X509-SVIDs, servers' certificates and a signing key.
    Certs {
        /// The folder; it must exist.
        dir: PathBuf,
    },
    /// Serve discovery and keys over HTTPS, with the certificate and key of a folder that `certs` filled.
    Issuer {
        /// The folder.
        #[arg(long)]
        dir: PathBuf,
        /// Address; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Print a token signed by the folder's key.
    Token {
        /// The folder.
        #[arg(long)]
        dir: PathBuf,
        /// The issuer's URL: `iss`.
        #[arg(long)]
        issuer: String,
        #[command(flatten)]
        request: TokenRequest,
    },
    /// Run SPIRE for two federated trust domains; `SPIRE_SERVER` and `SPIRE_AGENT` name its programs.
    Spire {
        /// An empty folder with a short path: sockets stand in it.
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        workloads: Workloads,
    },
    /// Serve a service that answers with the request as it arrived.
    Upstream {
        /// Address, or `unix:PATH`; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Certs { dir } => certs::write_all(&dir).map(drop),
        Command::Issuer { dir, listen } => {
            let issuer = Issuer::start(&dir, listen).await?;
            announce(&json!({"peer": "issuer", "url": issuer.url()}))?;
            until_told_to_end().await
        }
        Command::Token { dir, issuer, request } => {
            let token = request.mint(&issuer, &SigningKey::read(&dir)?)?;
            writeln!(io::stdout(), "{token}").context("cannot print the token")
        }
        Command::Spire { dir, workloads } => {
            let domains = Domains::start(&std::path::absolute(dir)?, &workloads).await?;
            announce(&json!({"peer": "spire", "workload_apis": domains.workload_apis()}))?;
            until_told_to_end().await
        }
        Command::Upstream { listen } => {
            start_upstream(&listen).await?;
            until_told_to_end().await
        }
    }
}

async fn start_upstream(listen: &str) -> Result<()> {
    let cannot_listen = || format!("cannot listen on `{listen}`");
    if let Some(path) = listen.strip_prefix("unix:") {
        let listener = UnixListener::bind(path).with_context(cannot_listen)?;
        announce(&json!({"peer": "upstream", "address": listen}))?;
        upstream::start(listener);
        return Ok(());
    }
    let listener = TcpListener::bind(listen).await.with_context(cannot_listen)?;
    announce(&json!({"peer": "upstream", "address": listener.local_addr()?.to_string()}))?;
    upstream::start(listener);
    Ok(())
}

fn announce(line: &Json) -> Result<()> {
    writeln!(io::stdout(), "{line}").context("cannot say where it listens")
}

async fn until_told_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {},
        _ = interrupt.recv() => {},
        () = standard_input_closes() => {},
    }
    Ok(())
}

/// On a thread of its own: a blocking read on the runtime's threads would keep the process from ending.
async fn standard_input_closes() {
    let (closed, told) = oneshot::channel();
    thread::spawn(move || {
        let mut unread = [0_u8; 512];
        while io::stdin().read(&mut unread).is_ok_and(|bytes| bytes > 0) {}
        closed.send(())
    });
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
}
