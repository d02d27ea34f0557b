//! Keys of points over HTTP: one that is replaced in its file is in force from the next reload on, one that cannot be
//! read changes nothing, and who has none is told of.

use anyhow::ensure;
use skyline_tests::flux::{KEY, flux, lines, send};
use skyline_tests::node::Setup;
use skyline_tests::now;

/// Another of the same length.
const OTHER: &str = "fedcba9876543210fedcba9876543210";

#[test]
fn a_key_that_is_replaced_is_in_force_after_a_reload() -> anyhow::Result<()> {
    let (node, to) = flux(Setup::window(), "")?;
    let point = format!("a 1 {}\n", now());
    let with = |key: &str| -> anyhow::Result<u16> {
        let path = format!("/metric_data?metric=a&value=1&key={key}");
        let answer = std::process::Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &format!("http://{to}{path}")])
            .output()?;
        Ok(String::from_utf8_lossy(&answer.stdout).trim().parse()?)
    };
    ensure!(lines(to, &point)?.0 == 204 && with(OTHER)? == 401);
    let log = node.process.log();
    ensure!(log.contains("has no key, or a wrong one") && !log.contains(OTHER), "{log}");

    let file = node.folder().join("flux.key");
    std::fs::write(&file, "short")?;
    let refused = node.reload();
    ensure!(refused.is_err_and(|why| why.to_string().contains("flux")), "a key that is none was taken");
    ensure!(with(KEY)? == 204, "a reload that was refused has changed a key");

    std::fs::write(&file, format!("{OTHER}\n"))?;
    ensure!(with(KEY)? == 204 && with(OTHER)? == 401, "it is read at a reload");
    node.reload()?;
    ensure!(with(OTHER)? == 204 && with(KEY)? == 401);
    let (status, text) = send(to, "/metric_data_post", "Content-Type: text/plain\r\n", point.as_bytes())?;
    ensure!(status == 401, "{text}");
    let status = node.command("status")?;
    let status = String::from_utf8_lossy(&status.stdout);
    ensure!(status.contains("4 with 401 (no key, or a wrong one)"), "{status}");
    let doctor = node.command("doctor")?;
    let doctor = String::from_utf8_lossy(&doctor.stdout);
    ensure!(doctor.contains("without a right key"), "{doctor}");
    node.balanced()?;
    Ok(())
}
