//! `bellwether schema`: the JSON Schemas of what goes in and what comes out.

use std::io::Write as _;

use anyhow::Result;
use bellwether_engine::catalogue::Catalogue;
use bellwether_engine::incident::{SchemaVersion, record_schema};
use bellwether_engine::signal::SignalKind;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::config::{Config, schema_of};
use crate::exit::Exit;

/// Print a JSON Schema: of the configuration, the catalogue, the incident record or the signals
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bellwether schema config > bellwether.schema.json
      then begin the YAML file with: # yaml-language-server: $schema=bellwether.schema.json
  bellwether schema incident      what a consumer of the incident stream may rely on")]
pub(super) struct SchemaArgs {
    /// Of what
    #[arg(value_enum)]
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The configuration file
    Config,
    /// A tenant's catalogue: teams, services, SLAs, topology, maintenance
    Catalogue,
    /// The incident record, version 2: what is written
    Incident,
    /// The incident record, version 1: what sinks with `schema_version: 1` write
    IncidentV1,
    /// The columns of the five kinds of signal
    Signals,
}

/// Prints the schema.
///
/// # Errors
/// When stdout cannot be written.
pub(super) fn run(args: &SchemaArgs) -> Result<Exit> {
    let schema = match args.what {
        What::Config => schema_of::<Config>(),
        What::Catalogue => schema_of::<Catalogue>(),
        What::Incident => record_schema(SchemaVersion::V2),
        What::IncidentV1 => record_schema(SchemaVersion::V1),
        What::Signals => signals(),
    };
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &schema)?;
    writeln!(out)?;
    Ok(Exit::Ok)
}

/// Each kind's columns with their Arrow types.
fn signals() -> Value {
    let kinds = SignalKind::ALL.into_iter().map(|kind| {
        let schema = kind.schema();
        let columns = schema.fields().iter().map(|field| {
            json!({"name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable()})
        });
        (kind.name().to_owned(), json!({"columns": columns.collect::<Vec<_>>()}))
    });
    Value::Object(kinds.collect())
}
