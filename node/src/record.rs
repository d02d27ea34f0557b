//! Opens the record of anomalies.

use skyline_conf::model::Settings;
use skyline_sql::{Error, Options, Store};
use std::path::{Path, PathBuf};

/// Where the record is, and whether that was left to the node.
fn file(settings: &Settings) -> (PathBuf, bool) {
    let named = &settings.record.sqlite_file;
    if named.as_os_str().is_empty() {
        (settings.node.state_dir.join("anomalies.db"), true)
    } else {
        (named.clone(), false)
    }
}

/// Opens the record. The node's own file that is damaged is set aside and a new one begun: points must
/// not wait for it. A file that the settings name may be something else altogether, and is left alone.
///
/// # Errors
/// See [`Store::open`]; or a damaged file cannot be set aside.
pub(crate) async fn open(settings: &Settings, options: Options) -> Result<Store, Error> {
    let (file, is_own) = file(settings);
    match Store::open_with(&file, options.clone()).await {
        Err(error @ Error::Damaged { .. }) if is_own => {
            let aside = file.with_extension(format!("db.damaged-{}", options.clock.now() as u64));
            if set_aside(&file, &aside).is_err() {
                return Err(error);
            }
            tracing::error!(
                %error, kept_as = %aside.display(),
                "the record of anomalies is damaged; a new one is begun"
            );
            Store::open_with(&file, options).await
        }
        other => other,
    }
}

/// Renames the file; what SQLite keeps beside it belongs to it and goes along.
fn set_aside(file: &Path, aside: &Path) -> std::io::Result<()> {
    std::fs::rename(file, aside)?;
    for suffix in ["-wal", "-shm"] {
        let beside = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        match std::fs::rename(beside(file), beside(aside)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
