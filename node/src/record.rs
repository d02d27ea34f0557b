//! Opens the record of anomalies.

use skyline_conf::model::Settings;
use skyline_core::clock::Clock;
use skyline_sql::{Error, Options, Store};
use std::path::{Path, PathBuf};

/// The node's own file, for settings that name none.
pub(crate) fn own_file(settings: &Settings) -> PathBuf {
    settings.node.state_dir.join("anomalies.db")
}

/// Opens the record. The node's own file that is damaged is set aside and a new one begun: points must
/// not wait for it. A file that the settings name may be something else altogether, and is left alone. A
/// server need not be there yet.
///
/// # Errors
/// See [`Store::open_with`]; or a damaged file cannot be set aside.
pub(crate) async fn open(settings: &Settings, sync: bool, clock: &Clock) -> Result<Store, Error> {
    let options = Options {
        sync,
        clock: clock.clone(),
        join_seconds: settings.record.join_seconds,
        memcached: settings.memcached.clone(),
    };
    let memcached = &settings.memcached;
    match memcached.address.as_str() {
        "" => tracing::info!("no memcached: answers of the record are kept in this process, for a second"),
        address => tracing::info!(
            address,
            keep_seconds = memcached.keep_seconds,
            "answers of the record are kept in memcached"
        ),
    }
    let own = own_file(settings);
    match Store::open_with(&settings.record, &own, options.clone()).await {
        Err(error @ Error::Damaged { .. }) if settings.record.file(&own) == Some(&own) => {
            let aside = own.with_extension(format!("db.damaged-{}", clock.now() as u64));
            if set_aside(&own, &aside).is_err() {
                return Err(error);
            }
            tracing::error!(
                %error, kept_as = %aside.display(),
                "the record of anomalies is damaged; a new one is begun"
            );
            Store::open_file(&own, options).await
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
