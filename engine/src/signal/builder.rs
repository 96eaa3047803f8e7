//! What the batch builders share: one Arrow builder a column, in the order of the schema.

use arrow::array::{Float64Builder, TimestampNanosecondBuilder};

/// Makes a batch builder out of its columns, which stand in the order of the kind's schema.
///
/// The struct gets `new`, `Default`, `len`, `is_empty`, `finish` and `finish_for`; how a row is appended is
/// what the kinds differ in, and each writes its own `push`.
macro_rules! batch_builder {
    (
        $(#[$doc:meta])*
        $builder:ident, $kind:expr, { $first:ident: $first_type:ty = $first_new:expr, $($column:ident: $type:ty = $new:expr,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $builder {
            $first: $first_type,
            $($column: $type,)+
            /// Rows of which a text was too long.
            shortened: u32,
        }

        impl Default for $builder {
            fn default() -> Self {
                $builder { $first: $first_new, $($column: $new,)+ shortened: 0 }
            }
        }

        impl $builder {
            /// An empty builder.
            pub fn new() -> $builder {
                $builder::default()
            }

            /// Rows so far.
            pub fn len(&self) -> usize {
                arrow::array::ArrayBuilder::len(&self.$first)
            }

            /// True when no row was appended.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The batch; the builder is empty afterwards.
            ///
            /// # Errors
            /// [`SignalError::Tenant`](super::SignalError::Tenant) when `tenant` is not usable as a name.
            pub fn finish(&mut self, tenant: &str) -> Result<super::Batch, super::SignalError> {
                Ok(self.finish_for(&super::TenantName::new(tenant)?))
            }

            /// The batch of a tenant whose name is known to be one; the builder is empty afterwards.
            pub fn finish_for(&mut self, tenant: &super::TenantName) -> super::Batch {
                let columns: Vec<arrow::array::ArrayRef> = vec![
                    std::sync::Arc::new(self.$first.finish()),
                    $(std::sync::Arc::new(self.$column.finish()),)+
                ];
                let records = arrow::array::RecordBatch::try_new($kind.schema(), columns)
                    .expect("columns grow together and fit the schema");
                super::Batch::built(tenant, $kind, records, std::mem::take(&mut self.shortened))
            }
        }
    };
}
pub(super) use batch_builder;

/// A nanosecond time builder with the time zone the schemas ask for.
pub(super) fn times() -> TimestampNanosecondBuilder {
    TimestampNanosecondBuilder::new().with_timezone("UTC")
}

/// The same with room for `rows` times.
pub(super) fn times_of(rows: usize) -> TimestampNanosecondBuilder {
    TimestampNanosecondBuilder::with_capacity(rows).with_timezone("UTC")
}

/// A builder of numbers.
pub(super) fn numbers() -> Float64Builder {
    Float64Builder::new()
}
