//! Two-dimensional arrays of numbers in NumPy's `.npy` format (version 1 to 3;
//! little-endian integers, floats and booleans; C order).

use super::LoadError;
use std::path::Path;

/// Rows and columns read from a file; more is not a graph but a mistake.
const CELLS_MAX: usize = 100_000_000;

/// A matrix of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Row by row.
    pub values: Vec<f64>,
}

impl Matrix {
    /// Reads a `.npy` file.
    ///
    /// # Errors
    /// When the file is absent, not `.npy`, not two-dimensional, of a type not
    /// known here, or shorter than it says.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let bytes = std::fs::read(path).map_err(LoadError::read(path))?;
        parse(&bytes).map_err(|problem| LoadError::meta(path, problem))
    }

    /// Value at a row and column, 0 outside.
    #[must_use]
    pub fn at(&self, row: usize, column: usize) -> f64 {
        if column >= self.columns {
            return 0.0;
        }
        self.values.get(row * self.columns + column).copied().unwrap_or(0.0)
    }
}

/// Why bytes are not such an array.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum NpyError {
    #[error("not a .npy file")]
    Other,
    #[error("version `{0}` of .npy is not known, known: 1, 2, 3")]
    Version(u8),
    #[error("the header is cut short")]
    Short,
    #[error("Fortran order is not supported: save it with order='C'")]
    Fortran,
    #[error("no `{0}` in the header")]
    Lacks(&'static str),
    #[error("`{rows}` × `{columns}` cells are too many")]
    Large { rows: usize, columns: usize },
    #[error("`{have}` bytes of data, `{want}` expected")]
    Data { have: usize, want: usize },
    #[error("two dimensions expected, the shape is `({0})`")]
    Shape(String),
    #[error("type `{0}` is not known, known: |b1 |u1 |i1 <i4 <i8 <f4 <f8")]
    Kind(String),
}

fn parse(bytes: &[u8]) -> Result<Matrix, NpyError> {
    if bytes.len() < 12 || !bytes.starts_with(b"\x93NUMPY") {
        return Err(NpyError::Other);
    }
    let (length, start) = match bytes[6] {
        1 => (usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), 10),
        2 | 3 => (u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize, 12),
        other => return Err(NpyError::Version(other)),
    };
    let header = bytes.get(start..start + length).ok_or(NpyError::Short)?;
    let header = String::from_utf8_lossy(header);
    if header.contains("'fortran_order': True") {
        return Err(NpyError::Fortran);
    }
    let kind = between(&header, "'descr': '", "'").ok_or(NpyError::Lacks("descr"))?;
    let shape = between(&header, "'shape': (", ")").ok_or(NpyError::Lacks("shape"))?;
    let (rows, columns) = dimensions(shape)?;
    let cells = rows.checked_mul(columns).filter(|cells| *cells <= CELLS_MAX);
    let cells = cells.ok_or(NpyError::Large { rows, columns })?;
    let (width, decode) = decoder(kind)?;
    let body = &bytes[start + length..];
    if body.len() < cells * width {
        return Err(NpyError::Data { have: body.len(), want: cells * width });
    }
    let values = body.chunks_exact(width).take(cells).map(decode).collect();
    Ok(Matrix { rows, columns, values })
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let rest = &text[text.find(from)? + from.len()..];
    Some(&rest[..rest.find(to)?])
}

fn dimensions(shape: &str) -> Result<(usize, usize), NpyError> {
    let numbers: Vec<usize> = shape.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    match numbers.as_slice() {
        [rows, columns] => Ok((*rows, *columns)),
        _ => Err(NpyError::Shape(shape.to_owned())),
    }
}

/// Bytes of one value, and how to read it.
type Decoder = (usize, fn(&[u8]) -> f64);

fn decoder(kind: &str) -> Result<Decoder, NpyError> {
    fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
        std::array::from_fn(|at| bytes[at])
    }
    Ok(match kind {
        "|b1" | "|u1" => (1, |bytes| f64::from(bytes[0])),
        "|i1" => (1, |bytes| f64::from(i8::from_le_bytes(fixed(bytes)))),
        "<i4" => (4, |bytes| f64::from(i32::from_le_bytes(fixed(bytes)))),
        "<i8" => (8, |bytes| i64::from_le_bytes(fixed(bytes)) as f64),
        "<f4" => (4, |bytes| f64::from(f32::from_le_bytes(fixed(bytes)))),
        "<f8" => (8, |bytes| f64::from_le_bytes(fixed(bytes))),
        other => return Err(NpyError::Kind(other.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len()) % 64 != 63 {
            header.push(' ');
        }
        header.push('\n');
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header.as_bytes());
        out.extend(body);
        out
    }

    #[test]
    fn integers_and_floats_are_read_row_by_row() {
        let body: Vec<u8> = [1_i64, 0, 3, -4].iter().flat_map(|value| value.to_le_bytes()).collect();
        let matrix = parse(&file("<i8", "(2, 2)", &body)).expect("a matrix");
        assert_eq!((matrix.rows, matrix.at(1, 0), matrix.at(1, 1), matrix.at(9, 9)), (2, 3.0, -4.0, 0.0));
        let body: Vec<u8> = [0.5_f32, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(parse(&file("<f4", "(1, 2)", &body)).expect("a matrix").values, [0.5, 2.0]);
    }

    #[test]
    fn damaged_files_are_errors_not_panics() {
        let whole = file("<f8", "(2, 2)", &[0; 32]);
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(parse(&file("<f8", "(4, 1000000000000)", &[])).is_err());
        assert!(parse(&file("<c16", "(1, 1)", &[0; 16])).expect_err("complex").to_string().contains("<c16"));
        assert!(parse(&file("<f8", "(3,)", &[0; 24])).is_err());
    }
}
