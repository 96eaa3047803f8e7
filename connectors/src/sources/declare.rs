//! What a source declares of itself, beside its configuration.

use std::path::PathBuf;
use std::sync::Arc;

use crate::declared::Probe;
use crate::intake::{Source, SourceError};
use crate::resolve::entity_resolution::EntityResolver;

/// A source's configuration, from which everything else about it follows.
pub trait DeclaredSource: Send + Sync {
    /// Its name; unique among the sources of one configuration.
    fn name(&self) -> &str;

    /// What is read, for people.
    fn describe(&self) -> String;

    /// The files it names.
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        Vec::new()
    }

    /// Looks whether what it reads is there.
    fn probe(&self) -> Probe<'_> {
        None
    }

    /// The source; nothing is opened before it runs. `resolver` says what changes are about.
    ///
    /// # Errors
    /// [`SourceError::Config`] naming the key.
    fn build(&self, resolver: &Arc<EntityResolver>) -> Result<Box<dyn Source>, SourceError>;
}
