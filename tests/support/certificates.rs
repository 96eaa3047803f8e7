//! Certificates, made with `openssl` on the spot.

use std::path::Path;
use std::process::Command;

fn openssl(folder: &Path, args: &str) {
    let output =
        Command::new("openssl").args(args.split(' ')).current_dir(folder).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority in `ca.crt`.
pub(crate) fn authority(folder: &Path) {
    openssl(
        folder,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -subj /CN=authority -days 2",
    );
}

/// A certificate of the authority in `<file>.crt`, valid for these names.
pub(crate) fn certificate(folder: &Path, file: &str, names: &str) {
    std::fs::write(folder.join("names"), format!("subjectAltName={names}\n")).expect("writes");
    openssl(
        folder,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {file}.key -out {file}.csr -subj /CN={file}"
        ),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {file}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {file}.crt"
        ),
    );
}
