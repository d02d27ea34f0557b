//! Prometheus: `query_range` (prometheus:docs/querying/api.md), and its answers.

use crate::error::{Error, Unusable, words};
use crate::graphite::{Order, labels, parsed, points, question, quote, server};
use crate::json::{Reader, Scalar, Wrong};
use crate::series::{Answer, Limits, Series};
use skyline_upstream::{Ask, Client};

/// Where ranges are asked for, if the settings do not say it.
pub const QUERY_RANGE: &str = "/api/v1/query_range";

/// Most points of a series that it gives at once (prometheus:web/api/v1/api.go).
pub const MAX_POINTS: i64 = 11_000;

/// Path and query of a question for the points from `start` to `end`, both among them, `step` apart. `path` begins with a
/// slash and may have a query of its own, in which times, step and expression do not count.
#[must_use]
pub fn range_question(path: &str, expression: &str, (start, end): (i64, i64), step: i64) -> String {
    let mut out = question(path, &["query", "start", "end", "step"]);
    out.push_str("query=");
    quote(&mut out, expression);
    out.push_str(&format!("&start={start}&end={end}&step={step}"));
    out
}

/// Asks for an expression.
///
/// # Errors
/// There is no answer, or one that is of no use.
pub async fn range(
    client: &Client,
    path: &str,
    expression: &str,
    times: (i64, i64),
    step: i64,
    limits: Limits,
) -> Result<Answer, Error> {
    let whole = client.ask(Ask::get(range_question(path, expression, times, step))).await?;
    let status = whole.status;
    let parsed = parsed(whole, move |body| parse(body, limits)).await;
    if status.is_success() {
        return parsed.map_err(|reason| Error::Answer { server: server(client), reason });
    }
    // What it says of a bad expression comes with status 400 or 422.
    let said = match parsed {
        Err(Unusable::Says(said)) => words(&said),
        _ => String::new(),
    };
    Err(Error::Status { server: server(client), status: status.as_u16(), words: said })
}

/// An answer: `{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {label: text}, "values":
/// [[time, "value"], …]}, …]}}`. Points that are none are left out and counted; each time is taken once.
///
/// # Errors
/// It is not that, or more than `limits` allow.
pub fn parse(text: &[u8], limits: Limits) -> Result<Answer, Unusable> {
    let mut reader = Reader::new(text);
    let mut answer = Answer::default();
    let (mut first, mut status, mut said, mut has_result) = (true, String::new(), String::new(), false);
    reader.take(b'{')?;
    while reader.more(&mut first, b'}')? {
        match reader.key()?.as_str() {
            "status" => status = plain(&mut reader)?,
            "error" => said = plain(&mut reader)?,
            "data" if reader.peek() == Some(b'{') => has_result = data(&mut reader, limits, &mut answer)?,
            _ => reader.skip()?,
        }
    }
    reader.end()?;
    match status.as_str() {
        "success" if has_result => Ok(answer),
        "success" => Err("it has no result".into()),
        "error" => Err(Unusable::Says(words(&said).trim_start_matches([':', ' ']).to_owned())),
        _ => Err("it has no status, as answers of Prometheus have".into()),
    }
}

fn plain(reader: &mut Reader<'_>) -> Result<String, Wrong> {
    Ok(match reader.scalar()? {
        Some(Scalar::Text(text)) => text,
        _ => String::new(),
    })
}

/// Whether it held a result.
fn data(reader: &mut Reader<'_>, limits: Limits, answer: &mut Answer) -> Result<bool, Wrong> {
    let (mut first, mut has_result, mut left) = (true, false, limits.points);
    reader.take(b'{')?;
    while reader.more(&mut first, b'}')? {
        match reader.key()?.as_str() {
            "resultType" => {
                let kind = plain(reader)?;
                if kind != "matrix" {
                    return Err(format!(
                        "its result is a {}, no matrix: is the uri that of query_range?",
                        words(&kind).trim_start_matches(": ")
                    )
                    .into());
                }
            }
            "result" if reader.peek() == Some(b'[') => {
                let mut of_list = true;
                reader.take(b'[')?;
                while reader.more(&mut of_list, b']')? {
                    if answer.series.len() == limits.series {
                        return Err(format!("it has more than {} series", limits.series).into());
                    }
                    let series = series(reader, &mut left, answer)?;
                    answer.series.push(series);
                }
                has_result = true;
            }
            _ => reader.skip()?,
        }
    }
    Ok(has_result)
}

fn series(reader: &mut Reader<'_>, left: &mut usize, answer: &mut Answer) -> Result<Series, Wrong> {
    let mut series = Series::default();
    let mut first = true;
    reader.take(b'{')?;
    while reader.more(&mut first, b'}')? {
        match reader.key()?.as_str() {
            "metric" if reader.peek() == Some(b'{') => labels(reader, &mut series)?,
            "values" if reader.peek() == Some(b'[') => {
                series.points = points(reader, Order::TimeFirst, left, &mut answer.skipped)?;
            }
            _ => reader.skip()?,
        }
    }
    // An expression takes the name away.
    series.name = series.labels.get("__name__").cloned().unwrap_or_else(|| "result".into());
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Skipped;

    fn matrix(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}"#)
    }

    #[track_caller]
    fn check(result: &str, expected: &[(&str, &[(i64, f64)])], skipped: Skipped) {
        let answer = parse(matrix(result).as_bytes(), Limits::default()).unwrap();
        let got: Vec<(&str, Vec<(i64, f64)>)> = answer
            .series
            .iter()
            .map(|s| (s.name.as_str(), s.points.iter().map(|p| (p.ts, p.value)).collect()))
            .collect();
        let expected: Vec<(&str, Vec<(i64, f64)>)> = expected.iter().map(|(n, p)| (*n, p.to_vec())).collect();
        assert_eq!((got, answer.skipped), (expected, skipped));
    }

    #[test]
    fn answers() {
        let none = Skipped::default();
        check("[]", &[], none);
        check(
            r#"[{"metric":{"__name__":"up","job":"a"},"values":[[60,"1"],[120.5,"2.5"]]},{"metric":{},"values":[[60,"1e3"]]}]"#,
            &[("up", &[(60, 1.0), (120, 2.5)]), ("result", &[(60, 1_000.0)])],
            none,
        );
        check(
            r#"[{"metric":{},"values":[[60,"NaN"],[60,"+Inf"],[60,"-Inf"],[60,"x"],[60,null],["60","1"],[-1,"1"],[1e18,"1"],[180,"3"],[120,"2"],[180,"4"],[240,7]]}]"#,
            &[("result", &[(120, 2.0), (180, 4.0), (240, 7.0)])],
            Skipped { not_finite: 3, not_a_number: 1, null: 1, time: 3, unsorted: 1, duplicate: 1 },
        );
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let refused = |text: &str, words: &str| {
            let error = parse(text.as_bytes(), Limits { series: 1, points: 2 }).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        };
        refused("", "ends at byte 0");
        refused("<html>", "HTML");
        refused("{}", "no status");
        refused(r#"{"status":"success"}"#, "no result");
        refused(
            r#"{"status":"error","errorType":"bad_data","error":"parse\nerror"}"#,
            "it says: parse error",
        );
        refused(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#, "a vector, no matrix");
        refused(&matrix(r#"[{"metric":{}},{"metric":{}}]"#), "more than 1 series");
        refused(&matrix(r#"[{"metric":{},"values":[[1,"1"],[2,"1"],[3,"1"]]}]"#), "more points than");
        refused(&matrix("[1]"), "no `{`");
    }

    #[test]
    fn questions() {
        let check = |path: &str, expected: &str| {
            assert_eq!(range_question(path, "sum(rate(a[5m]))", (60, 120), 60), expected);
        };
        let tail = "query=sum%28rate%28a%5B5m%5D%29%29&start=60&end=120&step=60";
        check(QUERY_RANGE, &format!("/api/v1/query_range?{tail}"));
        check("/x?timeout=5s&start=1&query=b", &format!("/x?timeout=5s&{tail}"));
    }
}
