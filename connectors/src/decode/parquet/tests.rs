//! Files of our own schemas and of anybody's, whole and damaged.

use arrow::array::{
    BinaryArray, Decimal256Array, FixedSizeBinaryArray, Float64Array, Int64Array, LargeBinaryArray, ListArray,
    StringArray,
};
use arrow::datatypes::{Field, Schema, i256};
use bellwether_engine::signal::{MetricBuilder, MetricColumns, SeriesColumns};
use bellwether_engine::time::EventTime;
use bytes::Bytes;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::*;

const SECS: i64 = 1_772_359_200;

fn metric_file(values: &[f64]) -> Vec<u8> {
    let mut builder = MetricBuilder::new();
    for (i, value) in values.iter().enumerate() {
        builder.push(EventTime::from_secs(SECS + i as i64), 7, *value);
    }
    let mut bytes = Vec::new();
    let batch = builder.finish("acme").expect("a tenant");
    write_parquet(SignalKind::Metric, &[batch], &mut bytes).expect("written");
    bytes
}

fn read(bytes: Vec<u8>, config: &RowsConfig) -> Result<Vec<ParquetChunk>, BadRow> {
    let mut decoder = ParquetDecoder::new(Bytes::from(bytes), config, "acme")?;
    let mut chunks = Vec::new();
    while let Some(chunk) = decoder.next_chunk()? {
        chunks.push(chunk);
    }
    Ok(chunks)
}

#[test]
fn our_own_schema_comes_back_as_it_went_in() {
    let chunks = read(metric_file(&[1.0, 2.0]), &RowsConfig::default()).expect("reads");
    assert_eq!(MetricColumns::of(&chunks[0].batches[0]).value, [1.0, 2.0]);
}

#[test]
fn a_page_that_says_it_has_gigabytes_is_refused_before_room_is_made_for_it() {
    let mut bytes = metric_file(&[1.0, 2.0]);
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/parquet/pages-of-gigabytes");
    let hostile = std::fs::read(file).expect("it was found by fuzzing");
    let refused = read(hostile, &RowsConfig::default()).expect_err("refused");
    assert!(refused.detail.contains("the header of the page"), "{refused:?}");
    // The first page begins behind the four letters that all files begin with.
    bytes[4] = 0xff;
    assert!(read(bytes, &RowsConfig::default()).is_err());
}

#[test]
fn rows_that_are_not_finite_are_named_and_the_rest_goes_on() {
    let chunks = read(metric_file(&[1.0, f64::NAN, 3.0, f64::INFINITY]), &RowsConfig::default()).expect("reads");
    let kept: Vec<f64> = chunks[0].batches.iter().flat_map(|b| MetricColumns::of(b).value.to_vec()).collect();
    assert_eq!(kept, [1.0, 3.0]);
    let bad: Vec<(u64, Reason)> = chunks[0].bad.iter().map(|(row, b)| (*row, b.reason)).collect();
    assert_eq!(bad, [(2, Reason::NotFinite), (4, Reason::NotFinite)]);
}

#[test]
fn any_table_reads_by_mapping() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Int64, false),
        Field::new("pod", DataType::Utf8, false),
        Field::new("latency", DataType::Float64, true),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![SECS, SECS + 1, 5])),
        Arc::new(StringArray::from(vec!["a", "b", "c"])),
        Arc::new(Float64Array::from(vec![Some(1.5), None, Some(2.0)])),
    ];
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, schema.clone(), None).expect("a writer");
    writer.write(&RecordBatch::try_new(schema, columns).expect("a batch")).expect("written");
    writer.close().expect("closed");

    let config: RowsConfig = serde_json::from_str(
        r#"{"columns":{"time":"ts","entity":"pod"},"values":["latency"],"entity_type":"k8s.pod"}"#,
    )
    .expect("a configuration");
    let chunks = read(bytes, &config).expect("reads");
    let series = SeriesColumns::of(&chunks[0].batches[0]).row(0);
    assert_eq!((series.name, series.entity), ("latency", "k8s.pod:a"));
    assert_eq!(MetricColumns::of(&chunks[0].batches[1]).value, [1.5]);
    assert_eq!(chunks[0].bad.len(), 1, "row 3 is in 1970");
    assert_eq!((chunks[0].bad[0].0, chunks[0].bad[0].1.column.as_str()), (3, "time"));
}

fn written(schema: Schema, columns: Vec<ArrayRef>, codec: Compression) -> Vec<u8> {
    let schema = Arc::new(schema);
    let mut bytes = Vec::new();
    let settings = WriterProperties::builder().set_compression(codec).build();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, schema.clone(), Some(settings)).expect("a writer");
    writer.write(&RecordBatch::try_new(schema, columns).expect("a batch")).expect("written");
    writer.close().expect("closed");
    bytes
}

#[test]
fn every_usual_codec_is_read_and_another_is_named() {
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let schema =
            Schema::new(vec![Field::new("time", DataType::Int64, false), Field::new("value", DataType::Int64, false)]);
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![SECS])), Arc::new(Int64Array::from(vec![7]))];
        let config: RowsConfig =
            serde_json::from_str(r#"{"signal":"metric","constants":{"name":"cpu","entity":"host:a"}}"#).expect("reads");
        let chunks = read(written(schema, columns, codec), &config).expect("reads");
        assert_eq!(MetricColumns::of(&chunks[0].batches[1]).value, [7.0], "{codec}");
    }
    let says = "Parquet error: Disabled feature at compile time: brotli";
    let bad = guarded(|| Err::<(), _>(says)).expect_err("refused");
    assert!(bad.detail.starts_with("is compressed with brotli, which is not supported"), "{bad}");
}

#[test]
fn bytes_without_a_mark_are_text_decimals_numbers_and_lists_labels() {
    let schema = Schema::new(vec![
        Field::new("time", DataType::Int64, false),
        Field::new("name", DataType::Binary, false),
        Field::new("entity", DataType::LargeBinary, false),
        Field::new("value", DataType::Decimal256(40, 2), false),
        Field::new("labels.id", DataType::FixedSizeBinary(2), false),
        Field::new("labels.tags", DataType::new_list(DataType::Int64, true), true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![SECS])),
        Arc::new(BinaryArray::from_vec(vec![b"cpu"])),
        Arc::new(LargeBinaryArray::from_vec(vec![b"host:a"])),
        Arc::new(Decimal256Array::from(vec![i256::from(150)]).with_precision_and_scale(40, 2).expect("fits")),
        Arc::new(FixedSizeBinaryArray::try_from_iter([[0x9f_u8, 0x01]].into_iter()).expect("two bytes each")),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), Some(2)])])),
    ];
    let config: RowsConfig = serde_json::from_str(r#"{"signal":"metric"}"#).expect("reads");
    let chunks = read(written(schema, columns, Compression::SNAPPY), &config).expect("reads");
    let series = SeriesColumns::of(&chunks[0].batches[0]).row(0);
    assert_eq!((series.name, series.entity), ("cpu", "host:a"));
    assert_eq!((series.labels.get("id"), series.labels.get("tags")), (Some("9f01"), Some("[1, 2]")));
    assert_eq!(MetricColumns::of(&chunks[0].batches[1]).value, [1.5]);
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let whole = metric_file(&[1.0, 2.0, 3.0]);
    for len in 0..whole.len() {
        let bad = read(whole[..len].to_vec(), &RowsConfig::default()).expect_err("cut");
        assert!(bad.detail.contains("damaged or cut short"), "{bad}");
    }
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn a_damaged_file_never_panics(at in 0usize..2_000, flip in 1u8..) {
        let mut bytes = metric_file(&[1.0, 2.0, 3.0]);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        let _ = read(bytes, &RowsConfig::default());
    }
}
