//! Writes the kinds of message as pages, for `docs/alerts` and for looking at: as mail (HTML and text) and as Slack
//! shows them.
//!
//! `cargo run -p skyline-alerting --example messages FOLDER`
#![expect(clippy::print_stdout, reason = "it says what it wrote")]

use anyhow::Context as _;
use base64::Engine as _;
use serde_json::Value;
use skyline_alerting::channel::{Gallery as _, slack};
use skyline_alerting::gallery::{Captions, WindowGallery};
use skyline_alerting::message::{Kind, Message, Origin};
use skyline_alerting::samples;
use skyline_alerting::text::{Story, Style, html, plain};
use skyline_conf::model::alerting::Alerting;
use skyline_core::point::Datapoint;
use skyline_render_proxy::windows::{Later, Windows};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Sunday 29 November 2026, 13:25:10 UTC.
const NOW: f64 = 1_795_958_710.0;

/// Windows of made-up metrics: a day's wave with noise, and the fault of the example.
struct MadeUp {
    since: f64,
    until: f64,
    fault: f64,
}

impl Windows for MadeUp {
    fn series<'a>(&'a self, _name: &'a str, from: f64, until: f64) -> Later<'a, Option<Vec<Datapoint>>> {
        let count = ((until - from) / 60.0) as u32;
        let point = |i: u32| {
            let ts = from + f64::from(i) * 60.0;
            let noise = f64::from(i.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24) - 0.5;
            let value = 21.5 + 3.1 * ((f64::from(i) / 1440.0 * 6.283).sin() * 0.9 + noise);
            let is_wrong = ts >= self.since && ts < self.until;
            Datapoint::new(ts, if is_wrong { self.fault + 8.0 * noise } else { value })
        };
        Box::pin(std::future::ready(Ok(Some((0..=count).map(point).collect()))))
    }
}

/// The examples: name of the file, and the message.
fn examples() -> Vec<(&'static str, Message)> {
    let make = |kind, origin, metric| samples::message(kind, origin, metric, NOW, "https://skyline.internal");
    let web = "servers.web01.cpu.user";
    let others = ["servers.web01.load.1min", "servers.web01.http.latency_ms", "servers.web02.cpu.user"];
    vec![
        ("open", samples::with_company(make(Kind::Opened, Origin::Analyzer, web), &others)),
        ("update", samples::with_company(make(Kind::Updated, Origin::Analyzer, web), &others)),
        ("ended", samples::with_company(make(Kind::Ended, Origin::Analyzer, web), &others)),
        ("escalated", make(Kind::Escalated, Origin::Mirage, web)),
        ("stale", make(Kind::Stale, Origin::Analyzer, web)),
        ("held-back", make(Kind::HeldBack, Origin::Analyzer, web)),
        ("boundary", make(Kind::Opened, Origin::Boundary, "shop.checkout.errors_per_minute")),
        ("test", make(Kind::Test, Origin::Analyzer, "skyline_test.alerters.test")),
    ]
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).context("name a folder")?);
    std::fs::create_dir_all(&folder)?;
    let alerting = Alerting { zone: "Europe/Zurich".into(), ..Alerting::default() };
    let style = Style::new(&alerting);
    for (name, message) in examples() {
        let story = Story::new(&message, &style);
        let since = message.members.first().map_or(NOW, |member| member.since);
        let windows = MadeUp { since, until: message.ended.unwrap_or(f64::MAX), fault: 98.4 };
        let captions = Captions { titles: alerting.titles.clone(), zone: alerting.zone.clone() };
        let gallery = WindowGallery::new(Arc::new(windows), captions, Duration::from_secs(10));
        let pictures = gallery.pictures(&message).await;
        let picture = pictures.window.map(|png| {
            format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png))
        });
        let shown =
            html::Shown { window: picture.as_deref(), description: &pictures.description, graphite: None };
        write(&folder, &format!("{name}.html"), &html::write(&story, shown))?;
        write(&folder, &format!("{name}.txt"), &plain::write(&story, &pictures.description))?;
        write(&folder, &format!("{name}-slack.html"), &as_slack(&slack::blocks(&story), picture.as_deref()))?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let file = folder.join(name);
    std::fs::write(&file, text)?;
    println!("{}", file.display());
    Ok(())
}

/// A page that looks like a channel of Slack.
fn as_slack(blocks: &Value, picture: Option<&str>) -> String {
    let mut out = String::from(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{margin:0;background:#fff;font:15px/22px Lato,'Noto Sans',Arial,sans-serif;color:#1d1c1d}\
         .m{max-width:680px;padding:14px 20px 14px 66px;position:relative}.a{position:absolute;left:20px;top:18px;width:36px;\
         height:36px;border-radius:5px;background:#3c4a59;color:#fff;text-align:center;line-height:36px;font-weight:700}\
         code{font:12px Menlo,Consolas,monospace;color:#c01343;background:#f6f6f6;border:1px solid #ddd;border-radius:3px;\
         padding:2px 3px;word-break:break-all}ul{margin:2px 0;padding-left:24px}.b{display:inline-block;border:1px solid #bbb;\
         border-radius:4px;padding:4px 12px;margin:6px 8px 4px 0;font-weight:700;font-size:13px}.c{font-size:13px;color:#616061}\
         .t{border-left:4px solid #ddd;margin-top:10px;padding-left:12px}.d{display:inline-block;width:13px;height:13px;\
         border-radius:7px;vertical-align:-1px;margin-right:3px}</style></head><body><div class=\"m\"><div class=\"a\">S</div>\
         <b>Skyline</b> <span class=\"c\">APP 14:25</span>",
    );
    for block in items(blocks) {
        match block["type"].as_str().unwrap_or_default() {
            "actions" => {
                out.push_str("<div>");
                for button in items(&block["elements"]) {
                    let label = html::escaped(button["text"]["text"].as_str().unwrap_or_default());
                    out.push_str(&format!("<span class=\"b\">{label}</span>"));
                }
                out.push_str("</div>");
            }
            "context" => {
                for text in items(&block["elements"]) {
                    let text = html::escaped(text["text"].as_str().unwrap_or_default());
                    out.push_str(&format!("<div class=\"c\">{text}</div>"));
                }
            }
            _ => items(&block["elements"]).for_each(|part| rich(&mut out, part)),
        }
    }
    if let Some(picture) = picture {
        out.push_str(&format!(
            "<div class=\"t\"><span class=\"c\">in the thread</span><br><img src=\"{picture}\" width=\"441\"></div>"
        ));
    }
    out.push_str("</div></body></html>\n");
    out
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn rich(out: &mut String, part: &Value) {
    if part["type"] == "rich_text_list" {
        out.push_str("<ul>");
        for item in items(&part["elements"]) {
            out.push_str("<li>");
            rich(out, item);
            out.push_str("</li>");
        }
        return out.push_str("</ul>");
    }
    for element in items(&part["elements"]) {
        let text = html::escaped(element["text"].as_str().unwrap_or_default()).replace('\n', "<br>");
        let colour = match element["name"].as_str() {
            Some("red_circle") => "#d93025",
            Some("large_orange_circle") => "#f29900",
            Some("large_green_circle") => "#1e8e3e",
            _ => "#5b3fa6",
        };
        if element["type"] == "emoji" {
            out.push_str(&format!("<span class=\"d\" style=\"background:{colour}\"></span>"));
        } else if element["style"]["code"] == true {
            out.push_str(&format!("<code>{text}</code>"));
        } else if element["style"]["bold"] == true {
            out.push_str(&format!("<b>{text}</b>"));
        } else {
            out.push_str(&text);
        }
    }
}
